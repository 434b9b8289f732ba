"""OPERATOR_ACL is enough for all that the operator does. Needs redis-server, Node 20 and npm."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import pytest

from bullherd.bullmq import OPERATOR_ACL
from bullherd.bullmq.events import ActivityListener
from bullherd.bullmq.snapshots import QueueReader
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.redis.conftest import Connect

pytestmark = [pytest.mark.redis, pytest.mark.node]

ORDERS = QueueKey("bull", "orders")


async def test_the_operators_own_user(
    bullmq_node: BullmqNode, redis_server: RedisServer, connect_to: Connect
) -> None:
    admin: Any = redis_server.client()
    await admin.execute_command("ACL", "SETUSER", "bullherd", "on", ">pw", "~bull:*", *OPERATOR_ACL.split())
    endpoint = dataclasses.replace(redis_server.endpoint, username="bullherd", password="pw")
    client = connect_to(endpoint)
    reader, listener = QueueReader(endpoint, client), ActivityListener(endpoint, client)
    recovery = StalledRecovery(endpoint, client, interval=0.1)
    queue = bullmq_node.queue("orders")
    await queue.add_bulk([1, 2], priority=3)
    await queue.add_bulk([1, 2], delay=1)
    await queue.call("upsertJobScheduler", "often", {"every": 1000})
    worker = await queue.worker(hold=True, concurrency=5, lockDuration=200, skipStalledCheck=True)
    await worker.started(5)
    worker.kill()
    await queue.add_bulk([1, 2], lifo=True)

    await listener.follow([ORDERS])
    recovered: list[str] = []
    async with asyncio.timeout(10):
        while len(recovered) < 5:
            result = (await recovery.check([ORDERS], time.time()))[ORDERS]
            assert isinstance(result, tuple), result
            recovered += result
            await asyncio.sleep(0.1)
    assert await listener.wait_for_activity(5) == {ORDERS}
    assert isinstance((await reader.snapshots([ORDERS], time.time()))[ORDERS], QueueSnapshot)
    assert await admin.execute_command("ACL", "LOG") == []

    await listener.close()
