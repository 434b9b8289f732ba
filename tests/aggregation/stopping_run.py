"""A run in a process of its own that stops at a step and waits there to be killed; see test_crash.py.

python stopping_run.py DATABASE_URL FOLDER STEP     STEP: reading, publishing, or the number of files
published
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import create_engine

from correction_aggregation.aggregate import Progress, aggregate
from correction_aggregation.target import VolumeTarget
from tests.aggregation.conftest import DAY

database_url, root, step = sys.argv[1:]


def reached(name: str) -> None:
    if name == step:
        sys.stdout.write("there\n")
        sys.stdout.flush()
        sys.stdin.read()


class StoppingTarget(VolumeTarget):
    published = 0

    def publish(self, file: Path, folder: str, name: str) -> None:
        super().publish(file, folder, name)
        StoppingTarget.published += 1
        reached(str(self.published))


def report(progress: Progress) -> None:
    reached(progress.stage)


aggregate(DAY, create_engine(database_url), StoppingTarget(Path(root)), report)
