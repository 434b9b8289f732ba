"""From a web app's item to a training file: bullmq in Node, Redis, a worker process, PostgreSQL, all real.

Needs PostgreSQL (see postgres.py), redis-server and Node 20 with npm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from correction_aggregation.seed import seed_days
from correction_aggregation.time_range import previous_day
from tests.aggregation.conftest import DAY, AddRows
from tests.aggregation.postgres import PASSWORD, PostgresServer
from tests.fixtures.node import BullmqNode, NodeQueue
from tests.fixtures.worker import StartWorker, WorkerProcess, until
from tests.webapp.conftest import WebApp

pytestmark = [pytest.mark.redis, pytest.mark.node]

QUEUE = "correction-aggregation"
DAY_DATA = {"type": "range", "startDate": "2026-11-01T00:00:00.000Z", "endDate": "2026-11-02T00:00:00.000Z"}
SOON = {"attempts": 40, "backoff": {"type": "fixed", "delay": 100}}

WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""

Environment = dict[str, str]


@pytest.fixture
def environment(database: Engine, tmp_path: Path) -> Environment:
    """As the example's QueueJob gives it: the password apart from the URL."""
    return {
        "DATABASE_URL": database.url.set(password=None).render_as_string(),
        "DATABASE_PASSWORD": PASSWORD,
        "TRAINING_DATA_URL": (tmp_path / "training-data").as_uri(),
    }


@pytest.fixture
def start(start_worker: StartWorker, environment: Environment) -> Callable[..., Any]:
    async def start(**settings: Any) -> WorkerProcess:
        return await start_worker(QUEUE, modules=("correction_aggregation.kind",), **(environment | settings))

    return start


@pytest.fixture
def queue(bullmq_node_6: BullmqNode) -> NodeQueue:
    return bullmq_node_6.queue(QUEUE)


@contextmanager
def nobody_reads(database: Engine) -> Iterator[None]:
    """Whoever reads the table now waits until this ends: an item is in work for as long as a test wants."""
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE corrections IN ACCESS EXCLUSIVE MODE"))
        yield


async def reading(database: Engine) -> None:
    """Until a worker waits for the table."""

    async def waits() -> bool:
        with database.connect() as connection:
            return bool(connection.execute(text(WAITING)).scalar_one())

    await until(waits, what="a worker that reads")


async def test_an_item_becomes_training_data(
    bullmq_node: BullmqNode, start: Callable[..., Any], database: Engine, tmp_path: Path
) -> None:
    seed_days(database, count=500, days=1, last_day=DAY.start.date(), seed=1)
    worker = await start(queue_concurrency=5)
    queue = bullmq_node.queue(QUEUE)
    item_id = await queue.add("immediate-aggregation", DAY_DATA)
    result = await queue.wait_until_finished(item_id, limit=30)

    folder = tmp_path / "training-data" / DAY.key
    manifest = json.loads((folder / "manifest.json").read_bytes())
    lines = (folder / manifest["files"]["preference"]["name"]).read_bytes().splitlines()
    assert result == {
        "startDate": "2026-11-01T00:00:00Z",
        "endDate": "2026-11-02T00:00:00Z",
        "manifest": (folder / "manifest.json").as_uri(),
        "preferencePairs": len(lines),
        "supervisedPairs": manifest["files"]["supervised"]["records"],
        "rows": manifest["rows"],
    }
    assert manifest["rows"]["read"] == 500

    item = await queue.item(item_id)
    assert item is not None
    assert item.progress == {"stage": "done", "percent": 100, "rows": 500, "totalRows": 500}
    assert item.logs[0] == "aggregating corrections from 2026-11-01T00:00:00Z to 2026-11-02T00:00:00Z"
    assert item.logs[-1].endswith(f"from 500 rows: {result['manifest']}")
    started = await worker.event("correction_aggregation_job_start")
    assert started[0]["jobId"] == item_id
    assert "Synthetic" not in "".join(worker.raw)


async def test_the_web_app_gets_a_week_in_seven_items(
    webapp: WebApp, start: Callable[..., Any], database: Engine, tmp_path: Path
) -> None:
    seed_days(database, count=700, days=7, last_day=date(2026, 11, 22), seed=1)
    await start(queue_concurrency=5)
    done = await webapp.demo("add", "--jobs", "7", "--last-day", "2026-11-22", "--wait", "30")
    assert (done.code, done.errors) == (0, "")
    results = [line["result"] for line in done.lines if line["event"] == "completed"]
    assert [result["rows"]["read"] for result in results] == [100] * 7
    assert len(list((tmp_path / "training-data").glob("*/manifest.json"))) == 7


@pytest.mark.parametrize("registered", ["by the repeat option", "as a job scheduler"])
async def test_the_daily_aggregation(
    bullmq_node: BullmqNode, start: Callable[..., Any], database: Engine, registered: str
) -> None:
    """Promoted, since the test cannot wait until one o'clock."""
    queue = bullmq_node.queue(QUEUE)
    repeat = {"pattern": "0 1 * * *"}
    if registered == "as a job scheduler":
        template = {"name": "daily-aggregation", "data": {"type": "daily"}}
        await queue.call("upsertJobScheduler", "daily-aggregation", repeat, template)
    elif bullmq_node.major == "v5":
        await queue.add("daily-aggregation", {"type": "daily"}, repeat=repeat)
    else:
        return  # bullmq 6 has no such option
    yesterday = previous_day(datetime.now(UTC), ZoneInfo("UTC"))
    seed_days(database, count=20, days=1, last_day=yesterday.start.date(), seed=1)
    await start()
    (item,) = await queue.items("delayed")
    await queue.on_item(item.id, "promote")
    result = await queue.wait_until_finished(item.id, limit=30)
    assert datetime.fromisoformat(result["startDate"]) == yesterday.start
    assert result["rows"]["read"] == 20
    (after,) = await queue.items("delayed")
    assert timedelta(0) < datetime.fromtimestamp((after.timestamp + after.delay) / 1000, UTC) - datetime.now(
        UTC
    )


async def test_an_item_that_waited_for_two_days_means_the_day_before_it_was_added(
    queue: NodeQueue, start: Callable[..., Any]
) -> None:
    added = datetime.now(UTC) - timedelta(days=2)
    item_id = await queue.add("daily-aggregation", {"type": "daily"}, timestamp=int(added.timestamp() * 1000))
    await start()
    result = await queue.wait_until_finished(item_id, limit=30)
    assert datetime.fromisoformat(result["startDate"]) == previous_day(added, ZoneInfo("UTC")).start


async def test_data_that_makes_no_sense_fails_at_once_and_names_the_field(
    queue: NodeQueue, start: Callable[..., Any]
) -> None:
    worker = await start()
    item_id = await queue.add(
        "x", {"type": "range", "startDate": "jane@example.org", "endDate": "2026-11-02"}, **SOON
    )
    await worker.event("worker_job_failed")
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.attemptsMade) == ("failed", 1)
    assert "range.startDate" in str(item.failedReason)
    assert "ISO 8601" in str(item.failedReason)
    assert "jane" not in str(item.failedReason) + "".join(worker.raw)


async def test_a_database_that_is_away_is_tried_again_with_the_items_backoff(
    queue: NodeQueue,
    start: Callable[..., Any],
    postgres: PostgresServer,
    add_rows: AddRows,
    environment: Environment,
) -> None:
    add_rows({"prompt": "private words"})
    worker = await start()
    postgres.stop()
    item_id = await queue.add("immediate-aggregation", DAY_DATA, **SOON)
    await worker.event("worker_job_failed", count=2)
    away = await queue.item(item_id)
    assert away is not None
    assert away.state in {"delayed", "waiting", "active"}
    place = environment["DATABASE_URL"].rpartition("@")[2]
    assert away.failedReason == f"the corrections database at {place} cannot be reached: connection refused"

    postgres.start()
    result = await queue.wait_until_finished(item_id, limit=30)
    assert result["preferencePairs"] == 1
    item = await queue.item(item_id)
    assert item is not None
    assert item.attemptsMade >= 3
    shown = "".join([*worker.raw, *(item.stacktrace or []), *item.logs])
    for secret in (PASSWORD, "private words", "jane@example.org", "psycopg"):
        assert secret not in shown


async def test_a_worker_that_is_killed_loses_nothing(
    queue: NodeQueue, start: Callable[..., Any], database: Engine, add_rows: AddRows, tmp_path: Path
) -> None:
    add_rows({})
    short = {"worker_lock_duration": 1000, "worker_stalled_interval": 300}
    first = await start(**short)
    with nobody_reads(database):
        item_id = await queue.add("immediate-aggregation", DAY_DATA)
        await reading(database)
        await first.kill()
    assert not (tmp_path / "training-data" / DAY.key).exists()
    await start(**short)
    assert (await queue.wait_until_finished(item_id, limit=30))["rows"]["read"] == 1
    item = await queue.item(item_id)
    assert item is not None
    assert item.stalledCounter == 1


async def test_a_worker_that_must_go_gives_its_item_back_and_publishes_nothing(
    queue: NodeQueue, start: Callable[..., Any], database: Engine, add_rows: AddRows, tmp_path: Path
) -> None:
    add_rows({})
    first = await start(worker_drain_seconds=0.2, worker_thread_grace_seconds=0.2)
    with nobody_reads(database):
        item_id = await queue.add("immediate-aggregation", DAY_DATA)
        await reading(database)
        assert await first.terminate(limit=10) == 0
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.attemptsMade) == ("waiting", 0)
    assert not (tmp_path / "training-data" / DAY.key).exists()
    await start()
    assert (await queue.wait_until_finished(item_id, limit=30))["rows"]["read"] == 1


async def test_the_same_range_many_times_at_once(
    queue: NodeQueue, start: Callable[..., Any], database: Engine, tmp_path: Path
) -> None:
    seed_days(database, count=500, days=1, last_day=DAY.start.date(), seed=1)
    await start(queue_concurrency=5)
    await start(queue_concurrency=5)
    ids = await queue.add_bulk([DAY_DATA] * 20)
    results = [await queue.wait_until_finished(item_id, limit=30) for item_id in ids]
    assert all(result == results[0] for result in results)
    assert len(list((tmp_path / "training-data" / DAY.key).iterdir())) == 3


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("DATABASE_URL", "", "DATABASE_URL: field required"),
        ("DATABASE_URL", "mysql://app:s3cret@db/rlhf", "DATABASE_URL must start with postgresql://"),
        ("TRAINING_DATA_URL", "training-data", "TRAINING_DATA_URL must be like"),
    ],
)
async def test_a_worker_with_wrong_settings_does_not_start_and_burns_no_item(
    queue: NodeQueue, start: Callable[..., Any], setting: str, value: str, message: str
) -> None:
    item_id = await queue.add("immediate-aggregation", DAY_DATA)
    worker = await start(ready=False, **{setting: value})
    assert await worker.ended() != 0
    shown = "\n".join(worker.raw)
    assert message in shown
    assert "s3cret" not in shown
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.attemptsStarted) == ("waiting", 0)
