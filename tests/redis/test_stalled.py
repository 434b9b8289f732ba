"""Items of killed workers come back with no worker alive. Needs redis-server, Node 20 and npm.

The workers have a short lock (``lockDuration``), so that the tests do not wait long for it to run out.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.snapshot import QueueKey
from tests.fixtures.node import BullmqNode, NodeError, NodeQueue
from tests.fixtures.redis import RedisServer
from tests.redis.conftest import Look

pytestmark = [pytest.mark.redis, pytest.mark.node]

ORDERS = QueueKey("bull", "orders")


async def abandon(queue: NodeQueue, count: int = 1) -> list[str]:
    """Kill a worker that holds ``count`` items."""
    worker = await queue.worker(hold=True, concurrency=count, lockDuration=300, skipStalledCheck=True)
    ids = await worker.started(count)
    worker.kill()
    await worker.ended()
    return ids


async def check_until_recovered(recovery: StalledRecovery, count: int = 1, limit: float = 5.0) -> list[str]:
    """Check every interval, as the operator does."""
    recovered: list[str] = []
    deadline = time.monotonic() + limit
    while len(recovered) < count and time.monotonic() < deadline:
        result = (await recovery.check([ORDERS], time.time()))[ORDERS]
        assert isinstance(result, tuple), result
        recovered += result
        await asyncio.sleep(recovery.interval)
    return recovered


async def test_items_of_a_killed_worker_come_back_and_are_run(
    bullmq_node: BullmqNode, recovery: StalledRecovery, look: Look
) -> None:
    queue = bullmq_node.queue("orders")
    ids = await queue.add_bulk([{"return": n} for n in range(3)])
    assert sorted(await abandon(queue, 3)) == sorted(ids)
    assert (await look("orders")).active == 3

    assert sorted(await check_until_recovered(recovery, 3)) == sorted(ids)

    snapshot = await look("orders")
    assert (snapshot.active, snapshot.waiting) == (0, 3)
    await queue.worker()
    for n, item in enumerate(ids):
        assert await queue.wait_until_finished(item, limit=5) == n
        finished = await queue.item(item)
        assert finished is not None
        assert (finished.stalledCounter, finished.attemptsStarted, finished.attemptsMade) == (1, 2, 1)


async def test_an_item_comes_back_within_its_lock_and_two_intervals(
    bullmq_node_6: BullmqNode, recovery: StalledRecovery
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add()
    await abandon(queue)
    died = time.monotonic()
    await check_until_recovered(recovery)
    assert time.monotonic() - died < 0.3 + 2 * recovery.interval + 0.5


async def test_a_living_worker_keeps_its_item(
    bullmq_node: BullmqNode, recovery: StalledRecovery, look: Look
) -> None:
    queue = bullmq_node.queue("orders")
    await queue.add()
    worker = await queue.worker(hold=True, lockDuration=300, skipStalledCheck=True)
    await worker.started(1)
    assert await check_until_recovered(recovery, limit=1.0) == []
    assert (await look("orders")).active == 1


async def test_an_item_that_kills_its_workers_is_failed_by_the_next(
    bullmq_node: BullmqNode, recovery: StalledRecovery
) -> None:
    queue = bullmq_node.queue("orders")
    item = await queue.add()
    for _ in range(2):
        await abandon(queue)
        assert await check_until_recovered(recovery) == [item]
    worker = await queue.worker()
    with pytest.raises(NodeError, match="stalled more than allowable limit"):
        await queue.wait_until_finished(item, limit=5)
    assert not [event for event in worker.events if event["event"] == "started"]


async def test_in_a_paused_queue_nothing_is_lost(
    bullmq_node: BullmqNode, recovery: StalledRecovery, look: Look
) -> None:
    """bullmq 5 resumes by renaming ``paused`` over ``wait``; an item put into ``wait`` would be gone."""
    queue = bullmq_node.queue("orders")
    await queue.add_bulk([{"return": n} for n in range(3)])
    (held,) = await abandon(queue)
    await queue.pause()
    await queue.add(data={"return": 3})

    assert await check_until_recovered(recovery) == [held]
    snapshot = await look("orders")
    assert snapshot.paused
    assert (snapshot.waiting, snapshot.paused_list) == ((0, 4) if bullmq_node.major == "v5" else (4, 0))

    worker = await queue.worker()
    await queue.resume()
    completed = await worker.event("completed", 4)
    assert completed[0]["id"] == held  # a recovered item is next in turn
    assert sorted(event["result"] for event in completed) == [0, 1, 2, 3]


async def test_a_paused_queue_of_an_app_without_a_version(
    bullmq_node: BullmqNode, redis_server: RedisServer, recovery: StalledRecovery, look: Look
) -> None:
    """Python apps and early bullmq 5 write none; whichever resumes, nothing is lost."""
    queue = bullmq_node.queue("orders")
    await queue.add_bulk([1, 2])
    (held,) = await abandon(queue)
    await queue.pause()
    await redis_server.client().hdel("bull:orders:meta", "version")
    assert await check_until_recovered(recovery) == [held]
    await queue.resume()
    assert (await look("orders")).waiting == 2


async def test_an_idle_queue_is_not_written_to(redis_server: RedisServer, recovery: StalledRecovery) -> None:
    client = redis_server.client()
    await client.rpush("bull:orders:wait", "1")
    before = (await client.info("persistence"))["rdb_changes_since_last_save"]
    assert await recovery.check([ORDERS, QueueKey("bull", "nothing")], 1.0) == {
        ORDERS: (),
        QueueKey("bull", "nothing"): (),
    }
    assert (await client.info("persistence"))["rdb_changes_since_last_save"] == before


async def test_one_check_per_interval_by_whoever_comes_first(
    bullmq_node_6: BullmqNode, redis_server: RedisServer, recovery: StalledRecovery, shared: Redis
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add()
    await abandon(queue)
    another = StalledRecovery(redis_server.endpoint, shared, interval=60)
    await another.check([ORDERS], time.time())
    assert await check_until_recovered(recovery, limit=1.0) == []
    remaining = await redis_server.client().pttl("bull:orders:stalled-check")
    assert 50_000 < remaining < 54_001


async def test_a_key_of_another_type_spoils_only_its_queue(
    bullmq_node_6: BullmqNode, redis_server: RedisServer, recovery: StalledRecovery
) -> None:
    await redis_server.client().set("bull:other:active", "not a list")
    other = QueueKey("bull", "other")
    queue = bullmq_node_6.queue("orders")
    item = await queue.add()
    await abandon(queue)
    await recovery.check([other, ORDERS], time.time())
    await asyncio.sleep(0.4)
    result = await recovery.check([other, ORDERS], time.time())
    assert isinstance(result[other], QueueUnreadable)
    assert result[ORDERS] == (item,)


async def test_a_restart(
    bullmq_node_6: BullmqNode, redis_server: RedisServer, recovery: StalledRecovery
) -> None:
    queue = bullmq_node_6.queue("orders")
    item = await queue.add()
    await abandon(queue)
    await recovery.check([ORDERS], time.time())
    redis_server.stop()
    with pytest.raises(RedisUnavailable):
        await recovery.check([ORDERS], time.time())
    redis_server.start()
    assert await check_until_recovered(recovery) == [item]
