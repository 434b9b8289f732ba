"""The pipeline: one snapshot of a range in, training data out. Plain and synchronous; `kind` runs it in a
thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import Engine

from correction_aggregation.errors import writing_to
from correction_aggregation.manifest import MANIFEST_NAME, manifest, manifest_bytes
from correction_aggregation.read import Snapshot, snapshot
from correction_aggregation.tally import Tally
from correction_aggregation.target import Target
from correction_aggregation.time_range import TimeRange, iso_utc
from correction_aggregation.write import JsonLines, WrittenFile, preference_record, supervised_record

REPORT_EVERY_S = 0.5


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Progress(_Answer):
    """What the web app sees of a running item."""

    stage: Literal["reading", "publishing", "done"]
    percent: int
    rows: int
    total_rows: int


class RowCounts(_Answer):
    """read = used + duplicates + unusable."""

    read: int
    used: int
    duplicates: int
    unusable: int


class AggregationResult(_Answer):
    """The item's return value: enough to find the data and to see whether it is worth training on."""

    start_date: str
    end_date: str
    manifest: str
    preference_pairs: int
    supervised_pairs: int
    rows: RowCounts


Report = Callable[[Progress], None]
"""Called from time to time; it may raise to end the run before anything is published."""


def aggregate(time_range: TimeRange, engine: Engine, target: Target, report: Report) -> AggregationResult:
    with target.scratch() as scratch:
        tally = Tally()
        with ExitStack() as stack:
            rows = stack.enter_context(snapshot(engine, time_range))
            preference = stack.enter_context(JsonLines(scratch, "preference"))
            supervised = stack.enter_context(JsonLines(scratch, "supervised"))
            _write_pairs(rows, tally, preference, supervised, report)
            files = preference.finished(), supervised.finished()

        report(_progress("publishing", tally.read, tally.read))
        for file in files:
            target.publish(file.path, time_range.key, file.published_name)
        manifest_file = scratch / MANIFEST_NAME
        with writing_to(str(scratch)):
            manifest_file.write_bytes(manifest_bytes(manifest(time_range, tally, *files)))
        target.publish(manifest_file, time_range.key, MANIFEST_NAME)
    report(_progress("done", tally.read, tally.read))
    return _result(time_range, tally, *files, target.url(time_range.key, MANIFEST_NAME))


def _write_pairs(
    rows: Snapshot, tally: Tally, preference: JsonLines, supervised: JsonLines, report: Report
) -> None:
    total = rows.count()
    report(_progress("reading", 0, total))
    reported = time.monotonic()
    for row in rows.rows():
        new = tally.take(row)
        if new.preference is not None:
            preference.add(preference_record(row, new.preference))
        if new.supervised is not None:
            supervised.add(supervised_record(row, new.supervised))
        if time.monotonic() - reported >= REPORT_EVERY_S:
            report(_progress("reading", tally.read, total))
            reported = time.monotonic()
    tally.check(total)


def _progress(stage: Literal["reading", "publishing", "done"], rows: int, total: int) -> Progress:
    """Reading is nearly all of the work; the last hundredths are for publishing."""
    percent = {"reading": 98 * rows // max(total, 1), "publishing": 98, "done": 100}[stage]
    return Progress(stage=stage, percent=percent, rows=rows, total_rows=total)


def _result(
    time_range: TimeRange, tally: Tally, preference: WrittenFile, supervised: WrittenFile, manifest_url: str
) -> AggregationResult:
    return AggregationResult(
        start_date=iso_utc(time_range.start),
        end_date=iso_utc(time_range.end),
        manifest=manifest_url,
        preference_pairs=preference.records,
        supervised_pairs=supervised.records,
        rows=RowCounts(
            read=tally.read,
            used=tally.used,
            duplicates=tally.duplicates,
            unusable=tally.unusable.total(),
        ),
    )
