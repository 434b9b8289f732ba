"""Job schedulers of the web app go on when our worker claims their items. Needs redis-server and Node 20."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker, until

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_every(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    worker = await start_worker("q", kind="say")
    await queue.call("upsertJobScheduler", "beat", {"every": 300}, {"name": "tick", "data": {"n": 1}})
    await worker.event("worker_job_completed", 4)
    items = await queue.items("completed")
    assert {item.data["n"] for item in items} == {1}
    due = sorted(int(item.id.rsplit(":", 1)[1]) for item in items)
    assert {later - earlier for earlier, later in itertools.pairwise(due)} == {300}


async def test_a_pattern_with_seconds_and_a_limit(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    worker = await start_worker("q", kind="say")
    repeat = {"pattern": "*/1 * * * * *", "tz": "Europe/Prague", "limit": 2}
    await queue.call("upsertJobScheduler", "twice", repeat, {"name": "tick", "data": {"n": 1}})
    await worker.event("worker_job_completed", 2)
    await asyncio.sleep(1.1)
    assert len(worker.named("worker_job_completed")) == 2
    assert (await queue.counts())["delayed"] == 0
    for item in await queue.items("completed"):
        due = int(item.id.rsplit(":", 1)[1])
        assert due % 1000 == 0
        assert item.processedOn is not None
        assert 0 <= item.processedOn - due < 200


async def test_a_pattern_ends_at_its_end_date(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    worker = await start_worker("q", kind="say")
    end = int(time.time() * 1000) + 2500
    await queue.call(
        "upsertJobScheduler", "short", {"pattern": "*/1 * * * * *", "endDate": end}, {"name": "tick"}
    )
    await until(lambda: _nothing_left(queue), limit=6)
    await worker.event("worker_job_completed", 2)
    assert all(int(item.id.rsplit(":", 1)[1]) <= end for item in await queue.items("completed"))


async def _nothing_left(queue: object) -> bool:
    counts = await queue.counts()  # type: ignore[attr-defined]
    return not (counts["delayed"] or counts["active"] or counts.get("waiting", 0)) and counts["completed"] > 0


async def test_the_next_item_is_there_before_this_one_runs(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    """A run that brings its worker down must not end the schedule."""
    queue = bullmq_node.queue("q")
    worker = await start_worker("q", kind="sleep")
    await queue.call("upsertJobScheduler", "s", {"every": 60_000}, {"name": "tick", "data": {"seconds": 60}})
    await worker.event("sleep_job_start")
    await worker.kill()
    assert (await queue.counts())["delayed"] == 1


async def test_the_repeat_option_of_bullmq_5_keeps_its_data(
    redis_server: RedisServer, start_node: object, start_worker: StartWorker
) -> None:
    """Web apps that register ``add(name, data, {repeat})``: the script of BullMQ 6 alone would empty the
    data.
    """
    queue = (await start_node("v5", redis_server)).queue("q")  # type: ignore[operator]
    worker = await start_worker("q", kind="say")
    await queue.add("daily", {"type": "daily"}, repeat={"pattern": "*/1 * * * * *", "limit": 3}, attempts=2)
    await worker.event("worker_job_completed", 3)
    items = await queue.items("completed")
    assert [item.data for item in items] == [{"type": "daily"}] * 3
    assert [item.name for item in items] == ["daily"] * 3
    assert all(item.opts["attempts"] == 2 for item in items)


async def test_the_repeat_option_of_bullmq_5_with_every(
    redis_server: RedisServer, start_node: object, start_worker: StartWorker
) -> None:
    queue = (await start_node("v5", redis_server)).queue("q")  # type: ignore[operator]
    worker = await start_worker("q", kind="say")
    await queue.add("beat", {"n": 7}, repeat={"every": 300})
    await worker.event("worker_job_completed", 3)
    assert [item.data for item in await queue.items("completed")] == [{"n": 7}] * 3


async def test_node_and_our_worker_take_turns(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    """Whoever claims an item makes the next one; the schedule is one sequence all the same."""
    queue = bullmq_node.queue("q")
    node = await queue.worker(concurrency=1)
    ours = await start_worker("q", kind="say")
    await queue.call("upsertJobScheduler", "both", {"pattern": "*/1 * * * * *"}, {"name": "tick"})
    await until(lambda: _completed(queue, 3), limit=10)
    due = sorted(int(item.id.rsplit(":", 1)[1]) for item in await queue.items("completed"))
    assert {later - earlier for earlier, later in itertools.pairwise(due)} == {1000}
    await node.close()
    before = len(ours.named("worker_job_completed"))
    await ours.event("worker_job_completed", before + 2)


async def _completed(queue: object, count: int) -> bool:
    return (await queue.counts())["completed"] >= count  # type: ignore[attr-defined]


async def test_a_schedule_that_cannot_be_read_is_told_and_the_item_runs(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    await queue.pause()
    await queue.call("upsertJobScheduler", "odd", {"every": 1000}, {"name": "tick"})
    client = redis_server.client()
    (item,) = await queue.items("wait", "delayed")
    await client.hset(f"bull:q:{item.id}", "opts", '{"repeat": {"pattern": "FREQ=DAILY"}}')
    worker = await start_worker("q", kind="say")
    await queue.resume()
    (failure,) = await worker.event("worker_schedule_failed")
    assert "FREQ=DAILY" in failure["problem"]
    await worker.event("worker_job_completed")
