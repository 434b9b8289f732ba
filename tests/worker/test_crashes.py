"""Workers that die, freeze or lose their locks: every item is worked, and no result is taken from who lost
it.

Needs redis-server and Node 20.
"""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker, until
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]

SHORT_LOCKS = {"worker_lock_duration": 1000, "worker_stalled_interval": 300}


async def test_killed_in_the_middle_nothing_is_lost(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    """Counts: 40 items, a worker with 5 at once killed; lost 0, run twice only what it had in hand."""
    queue = bullmq_node.queue("q")
    ids = await queue.add_bulk([{"seconds": 0.1}] * 40)
    first = await start_worker("q", kind="sleep", concurrency=5, **SHORT_LOCKS)
    await first.event("worker_job_completed", 10)
    await first.kill()
    in_hand = (await queue.counts())["active"]
    assert 1 <= in_hand <= 5
    await start_worker("q", kind="sleep", concurrency=5, **SHORT_LOCKS)
    await until(lambda: _completed(queue, len(ids)), limit=20)
    items = await queue.items("completed")
    assert len(items) == len(set(ids)) == 40
    twice = [item for item in items if item.attemptsStarted == 2]
    assert len(twice) == in_hand
    assert {item.attemptsStarted for item in items} == {1, 2}
    assert all(item.stalledCounter == 1 for item in twice)
    assert (await queue.counts())["failed"] == 0


async def _completed(queue: object, count: int) -> bool:
    return (await queue.counts())["completed"] >= count  # type: ignore[attr-defined]


async def test_an_item_that_kills_its_worker_twice_fails(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 60}, attempts=3)
    for _ in range(2):
        worker = await start_worker("q", kind="sleep", **SHORT_LOCKS)
        await worker.event("sleep_job_start")
        await worker.kill()
    worker = await start_worker("q", kind="sleep", **SHORT_LOCKS)
    item = await in_state(queue, item_id, "failed")
    assert item.failedReason == "job stalled more than allowable limit"
    assert not worker.named("sleep_job_start")


async def test_node_recovers_what_our_worker_lost_and_the_other_way(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node.queue("q")
    first = await queue.add("x", {"seconds": 60})
    ours = await start_worker("q", kind="sleep", **SHORT_LOCKS)
    await ours.event("sleep_job_start")
    await ours.kill()
    node = await queue.worker(hold=True, lockDuration=1000, stalledInterval=300)
    assert await node.started() == [first]
    node.kill()
    await start_worker("q", kind="say", worker_max_stalled=2, **SHORT_LOCKS)
    item = await in_state(queue, first, "completed")
    assert (item.attemptsStarted, item.stalledCounter) == (3, 2)


async def test_a_frozen_worker_wakes_up_fenced(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    item_id = await queue.add("x", {"seconds": 1})
    frozen = await start_worker("q", kind="sleep", worker_name="frozen", **SHORT_LOCKS)
    await frozen.event("sleep_job_start")
    frozen.signal(signal.SIGSTOP)
    await start_worker("q", kind="sleep", worker_name="awake", **SHORT_LOCKS)
    item = await in_state(queue, item_id, "completed")
    assert item.processedBy == "awake"
    frozen.signal(signal.SIGCONT)
    await frozen.event("worker_item_lost")
    after = await queue.item(item_id)
    assert after is not None
    assert after.finishedOn == item.finishedOn
    assert (after.attemptsMade, after.attemptsStarted) == (1, 2)
    assert not frozen.named("worker_job_completed")
    # It goes on with other items.
    other = await queue.add("x", {"seconds": 0})
    await in_state(queue, other, "completed")


async def test_a_lost_lock_cancels_the_handler(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 60})
    worker = await start_worker("q", kind="sleep", worker_lock_duration=3000, worker_stalled_interval=60_000)
    await worker.event("sleep_job_start")
    client = redis_server.client()
    await client.set(f"bull:q:{item_id}:lock", "somebody else", px=60_000)
    taken = time.monotonic()
    await worker.event("worker_item_lost")
    assert time.monotonic() - taken < 2.5  # at a renewal, before it would have run out by itself
    await asyncio.sleep(0.3)
    assert not worker.named("worker_job_completed")
    assert not worker.named("worker_job_failed")
    assert (await queue.counts())["active"] == 1
    assert await client.get(f"bull:q:{item_id}:lock") == "somebody else"


async def test_locks_are_renewed_as_long_as_it_takes(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node_6.queue("q")
    ids = await queue.add_bulk([{"seconds": 2.5}] * 3)
    worker = await start_worker("q", kind="sleep", concurrency=3, **SHORT_LOCKS)
    await worker.event("worker_job_completed", 3)
    assert [(await in_state(queue, one, "completed")).attemptsStarted for one in ids] == [1, 1, 1]


async def test_a_handler_that_blocks_the_loop_past_its_lock_is_fenced(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    """Its own worker claims it again after the stall; only the second run is reported, and nothing hangs."""
    queue = bullmq_node_6.queue("q")
    helper = await start_worker("other-queue", kind="noop", **SHORT_LOCKS)
    item_id = await queue.add("x", {"seconds": 2.5})
    worker = await start_worker("q", kind="blocks", worker_max_stalled=5, **SHORT_LOCKS)
    checker = await queue.worker(concurrency=1, lockDuration=1000, stalledInterval=300)
    item = await in_state(queue, item_id, "completed")
    assert item.attemptsMade == 1
    await worker.event("worker_item_lost")
    await checker.close()
    assert await helper.terminate() == 0


@pytest.mark.parametrize("how", ["exit", "cancel"])
async def test_handlers_that_end_oddly_fail_their_item_only(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, how: str
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="exits")
    for _ in range(2):
        item = await in_state(queue, await queue.add("x", {"how": how}), "failed")
        assert item.failedReason
    assert await worker.terminate() == 0
