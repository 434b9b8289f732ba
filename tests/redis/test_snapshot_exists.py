"""Whether a queue exists: an app has used it. Needs redis-server, Node 20 and npm."""

from __future__ import annotations

import asyncio
import time

import pytest

from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.snapshot import QueueKey
from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.redis.conftest import Look

pytestmark = [pytest.mark.redis, pytest.mark.node]

ORDERS = QueueKey("bull", "orders")


async def test_a_queue_that_an_app_has_only_opened(bullmq_node: BullmqNode, look: Look) -> None:
    assert not (await look("orders")).exists
    await bullmq_node.queue("orders").call("getJobCounts")
    assert (await look("orders")).exists


async def test_a_queue_that_is_empty_again(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    await queue.add()
    await queue.call("drain")
    assert (await look("orders")).exists


async def test_a_queue_that_was_destroyed(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    await queue.add()
    await queue.call("obliterate", {"force": True})
    assert not (await look("orders")).exists


@pytest.mark.parametrize(
    "command",
    [
        "XADD events * event added",
        "SET id 1",
        "ZADD repeat 1 nightly",
        "RPUSH wait 1",
        "RPUSH paused 1",
        "RPUSH active 1",
        "ZADD prioritized 1 1",
        "ZADD delayed 1 1",
        "ZADD waiting-children 1 1",
        "ZADD completed 1 1",
        "ZADD failed 1 1",
        "HSET meta paused 1",
        "HSET meta concurrency 3",
        "HSET meta max 3",
        "HSET meta duration 1000",
        "HSET meta version bullmq:6.7.0",
    ],
)
async def test_each_trace_of_an_app(redis_server: RedisServer, look: Look, command: str) -> None:
    name, key, *arguments = command.split()
    await redis_server.client().execute_command(name, f"bull:orders:{key}", *arguments)
    assert (await look("orders")).exists


async def test_a_worker_alone_makes_no_queue(
    bullmq_node: BullmqNode, redis_server: RedisServer, look: Look
) -> None:
    """Its stalled check writes two keys."""
    await bullmq_node.queue("orders").worker(stalledInterval=60_000)
    client = redis_server.client()
    async with asyncio.timeout(10):
        while True:
            if await client.exists("bull:orders:stalled-check", "bull:orders:meta") == 2:
                break
            await asyncio.sleep(0.01)
    assert not (await look("orders")).exists


async def test_our_own_check_makes_no_queue(
    redis_server: RedisServer, recovery: StalledRecovery, look: Look
) -> None:
    await recovery.check([ORDERS], time.time())
    assert await redis_server.client().dbsize() == 0
    assert not (await look("orders")).exists
