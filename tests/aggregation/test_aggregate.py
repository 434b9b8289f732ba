"""Training data on a volume: right, complete, and the same bytes every time. Needs PostgreSQL (see
postgres.py).
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, text

from correction_aggregation.aggregate import AggregationResult, Progress, aggregate
from correction_aggregation.errors import AbandonedError, TargetAwayError
from correction_aggregation.seed import seed_days
from correction_aggregation.target import INCOMING, VolumeTarget
from correction_aggregation.time_range import TimeRange
from tests.aggregation.conftest import DAY, NOON, AddRows

MICROSECOND = timedelta(microseconds=1)
WEEK = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))


def run(database: Engine, volume: VolumeTarget, time_range: TimeRange = DAY) -> AggregationResult:
    return aggregate(time_range, database, volume, lambda progress: None)


def published(volume: VolumeTarget) -> dict[str, bytes]:
    files = (path for path in volume.root.rglob("*") if path.is_file())
    return {str(path.relative_to(volume.root)): path.read_bytes() for path in files}


def read_manifest(volume: VolumeTarget, time_range: TimeRange = DAY) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((volume.root / time_range.key / "manifest.json").read_bytes())
    return content


def records(volume: VolumeTarget, kind: str, time_range: TimeRange = DAY) -> list[dict[str, Any]]:
    """What a reader gets who trusts the manifest, after checking what it says about the file."""
    about = read_manifest(volume, time_range)["files"][kind]
    content = (volume.root / time_range.key / about["name"]).read_bytes()
    lines = content.split(b"\n")[:-1]
    assert (about["records"], about["bytes"]) == (len(lines), len(content))
    assert about["sha256"] == sha256(content).hexdigest()
    return [json.loads(line) for line in lines]


def test_a_correction_becomes_a_preference_and_a_supervised_pair(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({"prompt": "Čtyři\u2028a čtyři?", "corrected_response": 'Osm "8"\n'})
    result = run(database, volume)
    about = {"category": "math", "rating": 2, "created_at": "2026-11-01T12:00:00Z"}
    prompt = "Čtyři\u2028a čtyři?"
    assert records(volume, "preference") == [
        {"id": 1, "prompt": prompt, "chosen": 'Osm "8"\n', "rejected": "Five."} | about
    ]
    assert records(volume, "supervised") == [
        {"id": 1, "prompt": prompt, "completion": 'Osm "8"\n', "source": "corrected"} | about
    ]
    assert result.model_dump(by_alias=True) == {
        "startDate": "2026-11-01T00:00:00Z",
        "endDate": "2026-11-02T00:00:00Z",
        "manifest": f"{volume.root.as_uri()}/20261101T000000Z_20261102T000000Z/manifest.json",
        "preferencePairs": 1,
        "supervisedPairs": 1,
        "rows": {"read": 1, "used": 1, "duplicates": 0, "unusable": 0},
    }


def test_the_start_belongs_to_the_range_and_the_end_does_not(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    moments = [DAY.start - MICROSECOND, DAY.start, DAY.end - MICROSECOND, DAY.end]
    add_rows(*({"prompt": str(number), "created_at": moment} for number, moment in enumerate(moments)))
    run(database, volume)
    assert [record["prompt"] for record in records(volume, "preference")] == ["1", "2"]


def test_rows_come_by_time_and_rows_of_one_moment_by_id(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows(
        {"prompt": "last", "created_at": NOON + MICROSECOND},
        {"prompt": "second", "id": 20},
        {"prompt": "first", "id": 10},
    )
    with database.begin() as connection:  # the index would give this order by itself
        connection.execute(text("ALTER TABLE corrections DROP CONSTRAINT corrections_pkey"))
        connection.execute(text("DROP INDEX corrections_created_at_id_idx"))
    run(database, volume)
    assert [record["prompt"] for record in records(volume, "preference")] == ["first", "second", "last"]


def test_rows_that_cannot_be_used_are_counted_and_explained(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows(
        {},
        {},
        {"prompt": " "},
        {"corrected_response": None, "rating": None},
        {"corrected_response": None, "rating": None, "prompt": "another"},
        {"category": None, "corrected_response": None, "rating": 5, "prompt": "good"},
    )
    run(database, volume)
    manifest = read_manifest(volume)
    assert manifest["rows"] == {"read": 6, "used": 2, "duplicates": 1, "unusable": 3}
    assert {reason: about["rows"] for reason, about in manifest["unusable"].items()} == {
        "prompt_empty": 1,
        "not_corrected_and_not_rated": 2,
    }
    assert all(about["explanation"] for about in manifest["unusable"].values())
    assert manifest["categories"] == {
        "math": {"preference": 1, "supervised": 1},
        "uncategorized": {"preference": 0, "supervised": 1},
    }


def test_a_range_without_rows_is_published_as_such(database: Engine, volume: VolumeTarget) -> None:
    assert run(database, volume).rows.read == 0
    assert records(volume, "preference") == records(volume, "supervised") == []


def test_the_reviewer_is_nowhere(database: Engine, volume: VolumeTarget, add_rows: AddRows) -> None:
    add_rows({"reviewer": "jane@example.org"})
    result = run(database, volume)
    everything = b"".join(published(volume).values()) + result.model_dump_json().encode()
    assert b"jane" not in everything


def test_running_again_gives_the_same_bytes_and_no_other_file(database: Engine, tmp_path: Path) -> None:
    seed_days(database, count=3000, days=7, last_day=date(2026, 11, 7), seed=1)
    one, two = VolumeTarget(tmp_path / "one"), VolumeTarget(tmp_path / "two")
    run(database, one, WEEK)
    first = published(one)
    assert len(first) == 3
    run(database, one, WEEK)
    run(database, two, WEEK)
    assert published(one) == first == published(two)


def test_rows_that_were_not_touched_keep_their_place_after_an_update(
    database: Engine, volume: VolumeTarget
) -> None:
    """PostgreSQL moves updated rows to the end of the table; the order must not come from there."""
    seed_days(database, count=500, days=1, last_day=date(2026, 11, 1), seed=1)
    run(database, volume)
    before = published(volume)
    with database.begin() as connection:
        connection.execute(text("UPDATE corrections SET reviewer = 'gone' WHERE id % 3 = 0"))
    run(database, volume)
    assert published(volume) == before


def test_late_rows_give_a_new_manifest_and_the_old_files_stay_for_who_reads_them(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({})
    run(database, volume)
    before = published(volume)
    add_rows({"prompt": "late"})
    run(database, volume)
    assert len(records(volume, "preference")) == 2
    changed = {name for name, content in before.items() if published(volume).get(name) != content}
    assert changed == {f"{DAY.key}/manifest.json"}


def test_who_has_opened_a_manifest_reads_it_to_its_end(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({})
    run(database, volume)
    with (volume.root / DAY.key / "manifest.json").open() as opened:
        add_rows({"prompt": "late"})
        run(database, volume)
        assert json.load(opened)["rows"]["read"] == 1
    assert read_manifest(volume)["rows"]["read"] == 2


def test_rows_that_arrive_meanwhile_wait_for_the_next_run(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({})

    def another_row_arrives(progress: Progress) -> None:
        if progress.stage == "reading":
            add_rows({"prompt": "meanwhile"})

    assert aggregate(DAY, database, volume, another_row_arrives).rows.read == 1
    assert run(database, volume).rows.read == 2


def test_many_runs_of_one_range_at_once(database: Engine, volume: VolumeTarget) -> None:
    seed_days(database, count=2000, days=7, last_day=date(2026, 11, 7), seed=1)
    runs = 6
    together = Barrier(runs)

    def one_run(_: int) -> AggregationResult:
        def wait_for_the_others(progress: Progress) -> None:
            if progress.stage == "publishing":
                together.wait(30)

        return aggregate(WEEK, database, volume, wait_for_the_others)

    with ThreadPoolExecutor(runs) as pool:
        results = set(pool.map(lambda number: one_run(number).model_dump_json(), range(runs)))
    assert len(results) == 1
    assert len(published(volume)) == 3
    assert len(records(volume, "preference", WEEK)) == json.loads(results.pop())["preference_pairs"]


def test_runs_over_different_rows_at_once_leave_one_whole_version(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    """The slower run publishes between the files of the faster one; whoever's manifest is last, its files
    are there.
    """
    add_rows({})

    def a_faster_run_with_one_row_more(progress: Progress) -> None:
        if progress.stage == "publishing":
            add_rows({"prompt": "late"})
            assert run(database, volume).rows.read == 2

    aggregate(DAY, database, volume, a_faster_run_with_one_row_more)
    assert len(records(volume, "preference")) == read_manifest(volume)["rows"]["used"] == 1


def test_a_run_that_nobody_waits_for_publishes_nothing(
    database: Engine, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({})

    def stop(progress: Progress) -> None:
        if progress.stage == "publishing":
            raise AbandonedError("stopped")

    with pytest.raises(AbandonedError):
        aggregate(DAY, database, volume, stop)
    assert published(volume) == {}
    assert list((volume.root / INCOMING).iterdir()) == []


def test_progress_rises_to_100(
    database: Engine, volume: VolumeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("correction_aggregation.aggregate.REPORT_EVERY_S", 0)
    seed_days(database, count=50, days=1, last_day=date(2026, 11, 1), seed=1)
    seen: list[Progress] = []
    aggregate(DAY, database, volume, seen.append)
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert {progress.total_rows for progress in seen} == {50}
    assert [progress.stage for progress in seen[-2:]] == ["publishing", "done"]


def test_a_volume_that_cannot_be_written_is_said_in_a_sentence(database: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TargetAwayError, match=r"^cannot write training data to .*/file: Not a directory$"):
        run(database, VolumeTarget(tmp_path / "file"))


@pytest.mark.parametrize("file", ["preference.jsonl", "manifest.json"])
def test_a_full_disk_is_said_in_a_sentence(
    database: Engine, tmp_path: Path, add_rows: AddRows, file: str
) -> None:
    class FullVolume(VolumeTarget):
        @contextmanager
        def scratch(self) -> Iterator[Path]:
            with super().scratch() as folder:
                (folder / file).symlink_to("/dev/full")
                yield folder

    add_rows({})
    volume = FullVolume(tmp_path)
    with pytest.raises(
        TargetAwayError, match=r"^cannot write training data to .*: No space left on device$"
    ) as caught:
        run(database, volume)
    assert "OSError" not in "".join(traceback.format_exception(caught.value))
    assert not (volume.root / DAY.key / "manifest.json").exists()


def test_trouble_with_reporting_is_not_taken_for_trouble_with_writing(
    database: Engine, volume: VolumeTarget
) -> None:
    def redis_is_slow(progress: Progress) -> None:
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError, match="no answer"):
        aggregate(DAY, database, volume, redis_is_slow)
