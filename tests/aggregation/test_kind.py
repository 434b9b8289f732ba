"""The job kind's function by itself: what it tells the item, and when it stops.

Needs PostgreSQL (see postgres.py).
"""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine

from bullherd_worker import PlainJobContext
from correction_aggregation.aggregate import AggregationResult
from correction_aggregation.errors import AbandonedError
from correction_aggregation.request import AggregationRequest
from correction_aggregation.target import VolumeTarget
from tests.aggregation.conftest import DAY, AddRows


class Recorder:
    """Takes the place of Redis."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def progress(self, item_id: bytes, value: bytes) -> None:
        pass

    async def log(self, item_id: bytes, line: str, keep: int | None) -> None:
        self.lines.append(line)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch, database: Engine, volume: VolumeTarget) -> ModuleType:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere.invalid/nothing")
    monkeypatch.setenv("TRAINING_DATA_URL", volume.root.as_uri())
    module = importlib.import_module("correction_aggregation.kind")
    monkeypatch.setattr(module, "engine", database)
    monkeypatch.setattr(module, "target", volume)
    return module


async def run(
    kind: ModuleType, data: dict[str, Any], recorder: Recorder, *, cancelled: bool = False
) -> AggregationResult:
    context = PlainJobContext(
        loop=asyncio.get_running_loop(),
        raw_id=b"1",
        item_id="1",
        name="x",
        queue="correction-aggregation",
        attempt=1,
        reporter=recorder,
    )
    if cancelled:
        context.cancel()
    request = AggregationRequest.model_validate(data)
    result: AggregationResult = await asyncio.to_thread(kind.aggregate_corrections, request, context)
    return result


async def test_an_item_whose_result_nobody_wants_publishes_nothing(
    kind: ModuleType, volume: VolumeTarget, add_rows: AddRows
) -> None:
    add_rows({})
    data = {"type": "daily", "date": DAY.start.date().isoformat()}
    with pytest.raises(AbandonedError):
        await run(kind, data, Recorder(), cancelled=True)
    assert not (volume.root / DAY.key).exists()
    assert (await run(kind, data, Recorder())).preference_pairs == 1


async def test_a_range_that_is_not_over_says_so(kind: ModuleType) -> None:
    now = datetime.now(UTC)
    recorder = Recorder()
    await run(
        kind,
        {"type": "range", "startDate": now.isoformat(), "endDate": (now + timedelta(hours=1)).isoformat()},
        recorder,
    )
    assert "the range is not over yet: corrections that arrive later need another run" in recorder.lines
    recorder = Recorder()
    await run(kind, {"type": "daily"}, recorder)
    assert len(recorder.lines) == 2
