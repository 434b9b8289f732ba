"""A worker that is killed in the middle leaves nothing wrong behind. Needs PostgreSQL (see postgres.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from correction_aggregation.aggregate import aggregate
from correction_aggregation.seed import seed_days
from correction_aggregation.target import INCOMING, STALE_AFTER_S, VolumeTarget
from tests.aggregation.conftest import DAY

ROOT = Path(__file__).parents[2]


def kill_a_run_at(step: str, database: Engine, volume: VolumeTarget) -> None:
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.aggregation.stopping_run", url, str(volume.root), step]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        process.kill()


def published(volume: VolumeTarget) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (volume.root / DAY.key).glob("*")}


@pytest.mark.parametrize(
    ("step", "files_there"), [("reading", 0), ("publishing", 0), ("1", 1), ("2", 2), ("3", 3)]
)
def test_killed_and_run_again(database: Engine, tmp_path: Path, step: str, files_there: int) -> None:
    seed_days(database, count=300, days=1, last_day=date(2026, 11, 1), seed=1)
    clean, crashed = VolumeTarget(tmp_path / "clean"), VolumeTarget(tmp_path / "crashed")
    aggregate(DAY, database, clean, lambda progress: None)

    kill_a_run_at(step, database, crashed)
    left = published(crashed)
    assert len(left) == files_there
    assert left.items() <= published(clean).items(), "what is there is whole"
    assert ("manifest.json" in left) == (files_there == 3), "and no manifest names a file that is not"

    aggregate(DAY, database, crashed, lambda progress: None)
    assert published(crashed) == published(clean)


def test_scratch_files_of_a_killed_run_go_when_they_are_old(database: Engine, volume: VolumeTarget) -> None:
    seed_days(database, count=30, days=1, last_day=date(2026, 11, 1), seed=1)
    kill_a_run_at("publishing", database, volume)
    (left,) = (volume.root / INCOMING).iterdir()

    aggregate(DAY, database, volume, lambda progress: None)
    assert left.exists(), "it might be the scratch folder of a run that goes on elsewhere"

    long_ago = time.time() - STALE_AFTER_S - 1
    for path in (left, *left.iterdir()):
        os.utime(path, (long_ago, long_ago))
    aggregate(DAY, database, volume, lambda progress: None)
    assert not left.exists()
