"""What a snapshot counts of the items of bullmq 5 and 6. Needs redis-server, Node 20 and npm."""

from __future__ import annotations

import dataclasses
import time

import pytest

from bullherd.core.snapshot import QueueSnapshot
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.redis import RedisServer
from tests.redis.conftest import Look

pytestmark = [pytest.mark.redis, pytest.mark.node]

CHILD = {"name": "child", "queueName": "elsewhere"}


async def test_each_state_is_counted(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    worker = await queue.worker(concurrency=10)
    for data in ({"return": 1}, {"return": 2}, {"fail": "no"}):
        await queue.add("done", data)
    await worker.event("completed", 2)
    await worker.event("failed", 1)
    await worker.close()
    await queue.add("held")
    holder = await queue.worker(hold=True)
    await holder.started(1)
    await queue.add_bulk([1, 2, 3])
    await queue.add_bulk([1, 2], priority=7)
    await queue.add_bulk([1, 2, 3, 4], delay=60_000)
    await queue.call("addFlow", {"name": "parent", "queueName": "orders", "children": [CHILD] * 5})

    now = time.time()
    snapshot = await look("orders", now=now)

    expected = QueueSnapshot(
        taken_at=now,
        active=1,
        waiting=3,
        prioritized=2,
        delayed=4,
        completed=2,
        failed=1,
        waiting_children=1,
    )
    assert counts(snapshot) == counts(expected)
    assert snapshot.backlog == 6


def counts(snapshot: QueueSnapshot) -> dict[str, object]:
    return {
        name: value
        for name, value in dataclasses.asdict(snapshot).items()
        if name not in ("oldest_item_at", "next_delayed_at", "bullmq_version")
    }


async def test_an_overdue_item_counts_without_any_worker(bullmq_node: BullmqNode, look: Look) -> None:
    """Only workers move it to ``wait``: while none is alive, it stays among the delayed."""
    before = time.time()
    await bullmq_node.queue("orders").add(delay=3000)
    after = time.time()

    early = await look("orders", now=before + 2.9)
    assert (early.delayed, early.delayed_due, early.backlog) == (1, 0, 0)
    assert early.next_delayed_at is not None
    assert before + 2.99 <= early.next_delayed_at <= after + 3.01

    due = await look("orders", now=early.next_delayed_at)
    assert (due.delayed, due.delayed_due, due.backlog) == (1, 1, 1)
    assert due.next_delayed_at is None


async def test_the_next_delayed_item_is_one_that_is_not_due_yet(
    bullmq_node_6: BullmqNode, look: Look
) -> None:
    queue = bullmq_node_6.queue("orders")
    for delay in (1000, 2000, 3000):
        await queue.add(delay=delay)
    now = time.time() + 1.5
    snapshot = await look("orders", now=now)
    assert (snapshot.delayed, snapshot.delayed_due) == (3, 1)
    assert snapshot.next_delayed_at is not None
    assert 0 < snapshot.next_delayed_at - now < 0.6


async def test_the_moment_that_was_told_is_the_moment_at_which_it_is_due(
    redis_server: RedisServer, look: Look
) -> None:
    for milliseconds in range(1_700_000_001_000, 1_700_000_001_040):
        await redis_server.client().zadd("bull:orders:delayed", {"1": milliseconds * 4096 + 7})
        told = (await look("orders", now=1_700_000_000)).next_delayed_at
        assert told is not None
        assert (await look("orders", now=told)).delayed_due == 1
        assert (await look("orders", now=told - 0.001)).delayed_due == 0


async def test_a_paused_queue_still_shows_what_waits(bullmq_node: BullmqNode, look: Look) -> None:
    """bullmq 5 renames ``wait`` to ``paused``, bullmq 6 leaves the items where they are."""
    queue = bullmq_node.queue("orders")
    await queue.add_bulk([1, 2])
    await queue.pause()
    await queue.add("later")

    snapshot = await look("orders")
    assert snapshot.paused
    assert (snapshot.waiting, snapshot.paused_list) == ((0, 3) if bullmq_node.major == "v5" else (3, 0))
    assert snapshot.backlog == 3

    await queue.resume()
    snapshot = await look("orders")
    assert not snapshot.paused
    assert (snapshot.waiting, snapshot.paused_list) == (3, 0)


async def test_a_queue_that_bullmq_5_and_6_both_use_while_paused(
    redis_server: RedisServer, start_node: StartNode, look: Look
) -> None:
    """6 pauses and leaves its items in ``wait``, 5 then adds to ``paused``: all count."""
    new, old = await start_node("v6", redis_server), await start_node("v5", redis_server)
    await new.queue("orders").add_bulk([1, 2, 3])
    await new.queue("orders").pause()
    await old.queue("orders").add_bulk([4, 5])
    snapshot = await look("orders")
    assert (snapshot.waiting, snapshot.paused_list, snapshot.backlog) == (3, 2, 5)


async def test_limits_set_for_the_whole_queue(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    await queue.call("setGlobalConcurrency", 3)
    await queue.call("setGlobalRateLimit", 2, 60_000)
    snapshot = await look("orders")
    assert snapshot.global_concurrency == 3
    assert (snapshot.rate_limit_max, snapshot.rate_limit_duration) == (2, 60.0)
    assert snapshot.rate_limited_for == 0.0


async def test_a_queue_is_rate_limited_only_once_the_maximum_is_reached(
    bullmq_node: BullmqNode, look: Look
) -> None:
    queue = bullmq_node.queue("orders")
    await queue.call("setGlobalRateLimit", 2, 60_000)
    worker = await queue.worker()
    await queue.add()
    await worker.event("completed", 1)
    assert (await look("orders")).rate_limited_for == 0.0

    await queue.add_bulk([1, 2])
    await worker.event("completed", 2)
    snapshot = await look("orders")
    assert 50 < snapshot.rate_limited_for <= 60
    assert snapshot.waiting == 1


async def test_a_stop_by_hand_is_a_rate_limit(bullmq_node: BullmqNode, look: Look) -> None:
    await bullmq_node.queue("orders").call("rateLimit", 60_000)
    assert 50 < (await look("orders")).rate_limited_for <= 60


async def test_a_workers_own_limiter_does_not_stop_the_queue(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    worker = await queue.worker(limiter={"max": 100, "duration": 60_000})
    await queue.add()
    await worker.event("completed", 1)
    assert (await look("orders")).rate_limited_for == 0.0


async def test_a_scheduler_has_its_next_item_delayed(bullmq_node: BullmqNode, look: Look) -> None:
    await bullmq_node.queue("orders").call("upsertJobScheduler", "nightly", {"pattern": "0 1 * * *"})
    snapshot = await look("orders")
    assert (snapshot.delayed, snapshot.delayed_due, snapshot.backlog) == (1, 0, 0)
    assert snapshot.next_delayed_at is not None
    assert 0 < snapshot.next_delayed_at - time.time() <= 86_400


async def test_the_version_of_the_app_is_told(bullmq_node: BullmqNode, look: Look) -> None:
    await bullmq_node.queue("orders").add()
    version = (await look("orders")).bullmq_version
    assert version is not None
    assert version.startswith(bullmq_node.major.removeprefix("v") + ".")


async def test_prefixes_and_odd_names_are_apart(bullmq_node: BullmqNode, look: Look) -> None:
    await bullmq_node.queue("näme with space", prefix="{shop}").add_bulk([1, 2])
    await bullmq_node.queue("näme with space").add()
    assert (await look("näme with space", prefix="{shop}")).waiting == 2
    assert (await look("näme with space")).waiting == 1


async def test_a_queue_that_does_not_exist_is_empty_and_stays_so(
    redis_server: RedisServer, look: Look
) -> None:
    assert (await look("nothing", now=7.0)) == QueueSnapshot(taken_at=7.0, exists=False)
    assert await redis_server.client().dbsize() == 0
