"""The official Python Worker's faults that must not be here, one test each. Needs redis-server and Node 20.

bullmq 3.4.4 with redis-py 8 stalls when idle, wakes late for delayed items, stands still at a rate limit,
never says who worked an item, and dies in silence on odd names.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_an_idle_worker_picks_up_at_once(bullmq_node_6: BullmqNode, start_worker: StartWorker) -> None:
    """redis-py 8 ends reads after 5 s, and a blocking wait is such a read: it stalls for seconds."""
    workers = [await start_worker(name, kind="noop") for name in ("p", "q")]

    async def lateness(name: str, idle: float) -> int:
        queue = bullmq_node_6.queue(name)
        await asyncio.sleep(idle)
        item = await in_state(queue, await queue.add("x"), "completed")
        assert item.processedOn is not None
        return item.processedOn - item.timestamp

    assert max(await asyncio.gather(lateness("p", 5.5), lateness("q", 6.5))) < 100
    for worker in workers:
        assert not [one for one in worker.events if one.get("level") in ("warning", "error")]


async def test_delayed_items_start_on_time(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    """Redis ends blocking waits every 100 ms only, and the official worker rounds its wait up to seconds."""
    queue = bullmq_node.queue("q")
    worker = await start_worker("q", kind="noop", concurrency=3)
    delays = [300, 377, 450, 520, 777, 901, 1003, 1111, 1234, 1501]
    ids = [await queue.add("x", delay=delay) for delay in delays]
    await worker.event("worker_job_completed", len(ids))
    lateness = []
    for item_id, delay in zip(ids, delays, strict=True):
        item = await queue.item(item_id)
        assert item is not None
        assert item.processedOn is not None
        lateness.append(item.processedOn - item.timestamp - delay)
    assert min(lateness) >= 0
    assert sorted(lateness)[len(lateness) // 2] < 15
    assert max(lateness) < 80


@pytest.mark.parametrize("whose", ["worker", "queue"])
async def test_a_rate_limit_is_waited_out_and_no_longer(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, whose: str
) -> None:
    """10 items, 2 per 300 ms, are 1.2 s of waiting; the official worker did 2 to 6 of 20 in 15 s."""
    queue = bullmq_node_6.queue("q")
    limiter = {"queue_limiter_max": 2, "queue_limiter_duration": 300}
    if whose == "queue":
        await queue.call("setGlobalRateLimit", 2, 300)
        limiter = {}
    worker = await start_worker("q", kind="noop", concurrency=5, **limiter)
    started = time.monotonic()
    await queue.add_bulk([{}] * 10)
    await worker.event("worker_job_completed", 10, limit=10)
    took = time.monotonic() - started
    assert 1.1 < took < 2.5


async def test_processed_by_is_the_pod(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    """Both ways to claim say who claimed: the fetch, and the claim within a report."""
    queue = bullmq_node.queue("q")
    ids = await queue.add_bulk([{}] * 5)
    await start_worker("q", kind="noop", worker_name="aggregation-7d9f-xk2")
    for item_id in ids:
        assert (await in_state(queue, item_id, "completed")).processedBy == "aggregation-7d9f-xk2"


@pytest.mark.parametrize("name", ["two words", "čeština ✓", "a/b?c=d&e", "x" * 200, "{slot}tag", "new\nline"])
async def test_odd_names_work(bullmq_node_6: BullmqNode, start_worker: StartWorker, name: str) -> None:
    """The official worker dies in CLIENT SETNAME on a space, and nobody is told."""
    queue = bullmq_node_6.queue(name)
    worker = await start_worker(name, kind="say", worker_name=f"pod {name}")
    item_id = await queue.add(f"item {name}", {"name": name})
    item = await in_state(queue, item_id, "completed")
    assert item.returnvalue["name"] == f"item {name}"
    assert item.processedBy == f"pod {name}"
    assert await worker.terminate() == 0


async def test_bytes_that_are_no_text_fail_their_item_and_nothing_else(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    await queue.pause()
    bad, good = await queue.add("x", {"a": 1}), await queue.add("x", {"a": 2})
    client = redis_server.client()
    await client.hset(f"bull:q:{bad}", mapping={"data": b'{"a": "\xff"}', "name": b"\xff\xfe"})  # type: ignore[dict-item]
    worker = await start_worker("q", kind="say")
    await queue.resume()
    assert (await in_state(queue, good, "completed")).returnvalue["data"] == {"a": 2}
    assert (await worker.event("worker_job_failed"))[0]["jobId"] == bad


async def test_a_part_that_breaks_ends_the_process_loudly(
    start_worker: StartWorker, redis_server: RedisServer
) -> None:
    """The official worker's tasks die unseen. Here the process ends, and Kubernetes starts another."""
    worker = await start_worker(
        "q", kind="noop", modules=("tests.worker.kinds", "tests.worker.breaks_the_fetch_loop")
    )
    assert await worker.ended() == 1
    (event,) = worker.named("worker_broken")
    assert event["part"] == "fetch loop"
    assert "as the test asks" in event["exception"]
