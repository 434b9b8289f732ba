"""Whose items are active: what real workers write, and what is read of it.

Needs redis-server, Node 20 and npm.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import bullmq
import pytest

from bullherd.bullmq import OPERATOR_ACL
from bullherd.bullmq.connection import RedisUnavailable, connect
from bullherd.bullmq.holders import HolderReader
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.busy import QueueHolders
from bullherd.core.snapshot import QueueKey
from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker, until

pytestmark = [pytest.mark.redis, pytest.mark.node]

ORDERS = QueueKey("bull", "orders")


@pytest.fixture
def reader(redis_server: RedisServer) -> HolderReader:
    """On a client that is the test's."""
    return HolderReader(redis_server.endpoint, redis_server.client())


async def held(reader: HolderReader) -> QueueHolders:
    holders = await reader.holders(ORDERS)
    assert isinstance(holders, QueueHolders), holders
    return holders


async def test_node_workers_are_known_by_the_option_name(
    bullmq_node: BullmqNode, reader: HolderReader
) -> None:
    queue = bullmq_node.queue("orders")
    assert await held(reader) == QueueHolders()
    await queue.add_bulk(range(6))
    named = await queue.worker(hold=True, concurrency=2, name="orders-7f9c-a")
    await named.started(2)
    nameless = await queue.worker(hold=True, concurrency=3)
    await nameless.started(3)
    assert await held(reader) == QueueHolders({"orders-7f9c-a": 2}, unknown=3)


async def test_an_item_that_ends_is_held_no_longer(bullmq_node: BullmqNode, reader: HolderReader) -> None:
    queue = bullmq_node.queue("orders")
    item = await queue.add(data={"sleep": 1000})
    worker = await queue.worker(name="orders-a")
    await worker.started()
    assert await held(reader) == QueueHolders({"orders-a": 1})
    await queue.wait_until_finished(item, 10)
    assert await held(reader) == QueueHolders()


async def test_a_second_attempt_is_held_by_whoever_makes_it(
    bullmq_node: BullmqNode, reader: HolderReader
) -> None:
    queue = bullmq_node.queue("orders")
    item = await queue.add(data={"fail": "the first time"}, attempts=2, backoff=60_000)
    first = await queue.worker(name="orders-a")
    await first.event("failed")
    await first.close()
    await queue.on_item(item, "promote")
    second = await queue.worker(name="orders-b", hold=True)
    await second.started()
    assert await held(reader) == QueueHolders({"orders-b": 1})


async def test_the_python_worker_is_known_by_itself(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, reader: HolderReader
) -> None:
    await bullmq_node_6.queue("orders").add_bulk([{"seconds": 60}] * 3)
    await start_worker("orders", kind="sleep", concurrency=2, worker_name="orders-7f9c-a")
    await start_worker("orders", kind="sleep", worker_name="orders-7f9c-b")

    async def all_taken() -> bool:
        return await held(reader) == QueueHolders({"orders-7f9c-a": 2, "orders-7f9c-b": 1})

    await until(all_taken)


async def test_workers_of_the_python_package_bullmq_are_nameless(
    bullmq_node_6: BullmqNode, redis_server: RedisServer, reader: HolderReader
) -> None:
    taken = asyncio.Event()

    async def hold(job: Any, token: str) -> None:
        taken.set()
        await asyncio.Event().wait()

    worker = bullmq.Worker("orders", hold, {"connection": redis_server.client(), "name": "orders-7f9c-a"})
    await bullmq_node_6.queue("orders").add()
    await asyncio.wait_for(taken.wait(), 20)
    assert await held(reader) == QueueHolders(unknown=1)
    await worker.close(force=True)


async def test_what_a_dead_worker_held_stays_held_until_it_is_brought_back(
    bullmq_node: BullmqNode, redis_server: RedisServer, reader: HolderReader, recovery: StalledRecovery
) -> None:
    """A lock that has run out says nothing of the worker: it may be alive, and just have been slow."""
    queue = bullmq_node.queue("orders")
    item = await queue.add()
    worker = await queue.worker(hold=True, lockDuration=300, skipStalledCheck=True, name="orders-a")
    await worker.started()
    worker.kill()
    client = redis_server.client()

    async def unlocked() -> bool:
        return not await client.exists(f"bull:orders:{item}:lock")

    await until(unlocked)
    assert await held(reader) == QueueHolders({"orders-a": 1})

    async def brought_back() -> bool:
        return (await recovery.check([ORDERS], time.time()))[ORDERS] == (item,)

    await until(brought_back, every=recovery.interval)
    assert await held(reader) == QueueHolders()


async def test_an_item_that_was_deleted_under_its_worker_and_an_empty_name_are_unknown(
    redis_server: RedisServer, reader: HolderReader
) -> None:
    client = redis_server.client()
    await client.rpush("bull:orders:active", "gone", "2")
    await client.hset("bull:orders:2", "pb", "")
    assert await held(reader) == QueueHolders(unknown=2)


async def test_ten_thousand_items_are_one_round_trip_and_nothing_is_changed(
    redis_server: RedisServer, reader: HolderReader
) -> None:
    client = redis_server.client()
    async with client.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.rpush("bull:orders:active", number)
            pipeline.hset(f"bull:orders:{number}", "pb", f"orders-{number % 500}")
        await pipeline.execute()
    await held(reader)  # the server knows the script
    before = (await client.info("persistence"))["rdb_changes_since_last_save"]
    await client.config_resetstat()
    assert await held(reader) == QueueHolders({f"orders-{number}": 20 for number in range(500)})
    calls = {name: figures["calls"] for name, figures in (await client.info("commandstats")).items()}
    # The others are the script's own.
    assert calls == {
        "cmdstat_evalsha_ro": 1,
        "cmdstat_lrange": 1,
        "cmdstat_hget": 10_000,
        "cmdstat_config|resetstat": 1,
    }
    assert (await client.info("persistence"))["rdb_changes_since_last_save"] == before


@pytest.mark.parametrize("key", ["active", "1"])
async def test_a_key_of_another_program_is_no_idle_queue(
    redis_server: RedisServer, reader: HolderReader, key: str
) -> None:
    client = redis_server.client()
    if key == "1":
        await client.rpush("bull:orders:active", "1")
    await client.set(f"bull:orders:{key}", "not BullMQ's")
    unreadable = await reader.holders(ORDERS)
    assert isinstance(unreadable, QueueUnreadable)
    assert f"(bull:orders:{key})" in unreadable.reason


async def test_a_dead_server_is_no_idle_queue_and_heals(redis_server: RedisServer) -> None:
    await redis_server.client().rpush("bull:orders:active", "1")
    client = connect(redis_server.endpoint)
    reader = HolderReader(redis_server.endpoint, client)
    assert await held(reader) == QueueHolders(unknown=1)
    redis_server.kill()
    with pytest.raises(RedisUnavailable):
        await reader.holders(ORDERS)
    redis_server.start()
    assert await held(reader) == QueueHolders(unknown=1)
    await client.aclose()


async def test_the_operators_own_user_may_look(redis_server: RedisServer) -> None:
    admin: Any = redis_server.client()
    await admin.rpush("bull:orders:active", "1")
    await admin.hset("bull:orders:1", "pb", "orders-a")
    await admin.execute_command("ACL", "SETUSER", "bullherd", "on", ">pw", "~bull:*", *OPERATOR_ACL.split())
    client = connect(dataclasses.replace(redis_server.endpoint, username="bullherd", password="pw"))
    reader = HolderReader(redis_server.endpoint, client)
    assert await held(reader) == QueueHolders({"orders-a": 1})
    assert await admin.execute_command("ACL", "LOG") == []
    await client.aclose()
