"""Hints: heard at once, never lost, whatever races. Needs redis-server, Node 20 and npm."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import statistics
import time
from typing import Any

import pytest

from bullherd.bullmq import events
from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.events import ActivityListener
from bullherd.core.snapshot import QueueKey
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.redis import RedisServer, StartRedis
from tests.redis.conftest import Connect, Look

pytestmark = [pytest.mark.redis, pytest.mark.node]

ORDERS = QueueKey("bull", "orders")
OTHER = QueueKey("bull", "other")
NOTHING: frozenset[QueueKey] = frozenset()


async def quiet(listener: ActivityListener) -> bool:
    """Whether nothing is reported for a moment."""
    return await listener.wait_for_activity(0.1) == NOTHING


async def waiting(listener: ActivityListener, server: RedisServer) -> asyncio.Task[frozenset[QueueKey]]:
    """A wait that is under way: Redis has its XREAD, if there is any queue to listen to."""
    task = asyncio.create_task(listener.wait_for_activity(5))
    client = server.client()
    async with asyncio.timeout(5):
        while listener.followed and not any(map(is_blocked_in_xread, await client.client_list())):
            assert not task.done()
            await asyncio.sleep(0.001)
    return task


def is_blocked_in_xread(client: dict[str, str]) -> bool:
    """An entry of Redis' CLIENT LIST; the flag b is for blocked."""
    return "b" in client["flags"] and client["cmd"] == "xread"


@pytest.mark.parametrize("opts", [{}, {"delay": 50}, {"priority": 5}, {"lifo": True}])
async def test_the_first_item_of_a_queue_is_heard(
    redis_server: RedisServer, bullmq_node: BullmqNode, listener: ActivityListener, opts: dict[str, Any]
) -> None:
    await listener.follow([ORDERS, OTHER])
    wait = await waiting(listener, redis_server)
    await bullmq_node.queue("orders").add(**opts)
    assert await wait == {ORDERS}


async def test_what_else_makes_work_is_heard(
    redis_server: RedisServer, bullmq_node: BullmqNode, listener: ActivityListener
) -> None:
    queue = bullmq_node.queue("orders")
    worker = await queue.worker()
    item = await queue.add(data={"fail": "no"})
    await worker.event("failed")
    await worker.close()
    await queue.pause()
    await listener.follow([ORDERS])
    for work in (lambda: queue.on_item(item, "retry"), queue.resume, lambda: queue.add(delay=60_000)):
        wait = await waiting(listener, redis_server)
        await work()
        assert await wait == {ORDERS}
        assert await quiet(listener)


async def test_the_past_is_not_reported(bullmq_node: BullmqNode, listener: ActivityListener) -> None:
    await bullmq_node.queue("orders").add()
    await listener.follow([ORDERS])
    assert await quiet(listener)


async def test_what_comes_between_two_waits_is_reported(
    bullmq_node: BullmqNode, listener: ActivityListener
) -> None:
    queue = bullmq_node.queue("orders")
    await listener.follow([ORDERS, OTHER])
    await queue.add()
    assert await listener.wait_for_activity(5) == {ORDERS}
    await queue.add()
    await bullmq_node.queue("other").add()
    assert await listener.wait_for_activity(5) == {ORDERS, OTHER}
    assert await quiet(listener)


async def test_a_bulk_of_items_is_one_hint(bullmq_node: BullmqNode, listener: ActivityListener) -> None:
    await listener.follow([ORDERS])
    await bullmq_node.queue("orders").add_bulk([None] * 500)
    assert await listener.wait_for_activity(5) == {ORDERS}
    assert await quiet(listener)


async def test_one_of_many_queues(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    queues = [QueueKey("bull", f"queue-{n}") for n in range(300)]
    await listener.follow(queues)
    wait = await waiting(listener, redis_server)
    await bullmq_node_6.queue("queue-217").add()
    assert await wait == {queues[217]}


async def test_a_wait_ends_in_time(listener: ActivityListener) -> None:
    await listener.follow([ORDERS])
    begun = time.monotonic()
    assert await listener.wait_for_activity(0.2) == NOTHING
    assert 0.19 < time.monotonic() - begun < 1


async def test_silence_longer_than_redis_pys_own_timeout(listener: ActivityListener) -> None:
    """Unless told otherwise, redis-py 8 gives up a connection, even a blocked one, that is silent for 5 s."""
    await listener.follow([ORDERS])
    assert await listener.wait_for_activity(5.5) == NOTHING


async def test_a_wait_of_many_blocks(
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    listener: ActivityListener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "LONGEST_BLOCK_S", 0.02)
    await listener.follow([ORDERS])
    wait = await waiting(listener, redis_server)
    client = redis_server.client()
    async with asyncio.timeout(5):
        while (await client.info("commandstats")).get("cmdstat_xread", {"calls": 0})["calls"] < 5:
            assert not wait.done()
            await asyncio.sleep(0.01)
    await bullmq_node_6.queue("orders").add()
    assert await wait == {ORDERS}


async def test_following_another_queue_takes_effect_at_once(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    await listener.follow([])
    wait = await waiting(listener, redis_server)
    await listener.follow([ORDERS])
    await bullmq_node_6.queue("orders").add()
    assert await wait == {ORDERS}

    wait = await waiting(listener, redis_server)
    await listener.follow([OTHER])
    assert listener.followed == {OTHER}
    await bullmq_node_6.queue("orders").add()
    await bullmq_node_6.queue("other").add()
    assert await wait == {OTHER}


async def test_a_queue_that_stays_keeps_what_was_not_reported(
    bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    await listener.follow([ORDERS])
    await bullmq_node_6.queue("orders").add()
    await listener.follow([ORDERS, OTHER])
    assert await listener.wait_for_activity(5) == {ORDERS}


async def test_a_key_of_another_type_spoils_only_its_queue(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    client = redis_server.client()
    await client.set("bull:other:events", "not a stream")
    await listener.follow([ORDERS, OTHER])
    await bullmq_node_6.queue("orders").add()
    assert await listener.wait_for_activity(5) == {ORDERS}

    await client.delete("bull:other:events")
    await listener.follow([ORDERS, OTHER])
    await bullmq_node_6.queue("other").add()
    assert await listener.wait_for_activity(5) == {OTHER}


async def test_a_key_that_turns_into_another_type_while_followed(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    await listener.follow([ORDERS, OTHER])
    await redis_server.client().set("bull:other:events", "not a stream")
    wait = await waiting(listener, redis_server)
    await bullmq_node_6.queue("orders").add()
    assert await wait == {ORDERS}
    assert listener.followed == {ORDERS}


async def test_a_restart_loses_nothing(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, listener: ActivityListener
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add()
    await listener.follow([ORDERS])
    wait = await waiting(listener, redis_server)
    redis_server.stop()
    with pytest.raises(RedisUnavailable):
        await wait
    redis_server.start()
    await queue.add()
    assert await listener.wait_for_activity(5) == {ORDERS}
    assert await quiet(listener)


async def test_a_dead_server_does_not_change_what_is_followed(
    redis_server: RedisServer, listener: ActivityListener
) -> None:
    await listener.follow([ORDERS])
    redis_server.kill()
    with pytest.raises(RedisUnavailable):
        await listener.follow([ORDERS, OTHER])
    assert listener.followed == {ORDERS}


async def test_a_missing_permission_is_told(redis_server: RedisServer, connect_to: Connect) -> None:
    client: Any = redis_server.client()
    rules = ("on", ">pw", "~bull:*", "+select", "+client|setname", "+xread")
    await client.execute_command("ACL", "SETUSER", "deaf", *rules)
    endpoint = dataclasses.replace(redis_server.endpoint, username="deaf", password="pw")
    listener = ActivityListener(endpoint, connect_to(endpoint))
    with pytest.raises(RedisUnavailable, match="xrevrange"):
        await listener.follow([ORDERS])
    await listener.close()


async def test_over_tls(start_redis: StartRedis, start_node: StartNode, connect_to: Connect) -> None:
    server = start_redis(username="ann", password="pw", db=2, tls=True, client_certificate=True)
    node = await start_node("v6", server)
    listener = ActivityListener(server.endpoint, connect_to(server.endpoint))
    await listener.follow([ORDERS])
    wait = await waiting(listener, server)
    await node.queue("orders").add()
    assert await wait == {ORDERS}
    await listener.close()


@pytest.mark.parametrize("seed", range(4))
async def test_no_wake_is_lost_whatever_races(
    bullmq_node_6: BullmqNode, listener: ActivityListener, look: Look, seed: int
) -> None:
    """An operator that looks only when hinted sees every item in the end.

    Its waits are cancelled at random moments, the set of queues changes under them, and items come at any
    moment. The next item comes only when the last was seen, so a lost wake is for ever.
    """
    chance = random.Random(seed)
    queue = bullmq_node_6.queue("orders")
    await listener.follow([ORDERS])
    stop = asyncio.Event()

    async def change_the_set() -> None:
        while not stop.is_set():
            await listener.follow([ORDERS, OTHER] if chance.random() < 0.5 else [ORDERS])
            await asyncio.sleep(chance.random() * 0.004)

    async def add_soon() -> None:
        await asyncio.sleep(chance.random() * 0.004)
        await queue.add()

    disturbance = asyncio.create_task(change_the_set())
    seen = 0
    for number in range(1, 151):
        adding = asyncio.create_task(add_soon())
        while seen < number:
            if chance.random() < 0.7:
                hint = await wait_cancelled_after(listener, chance.random() * 0.004)
            else:
                hint = await listener.wait_for_activity(5)
                assert hint, f"the wake of item {number} was lost"
            if hint:
                seen = (await look("orders")).waiting
        await adding
    stop.set()
    await disturbance


async def wait_cancelled_after(listener: ActivityListener, seconds: float) -> frozenset[QueueKey]:
    task = asyncio.create_task(listener.wait_for_activity(5))
    await asyncio.sleep(seconds)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return NOTHING


async def test_a_hint_comes_within_milliseconds(bullmq_node: BullmqNode, listener: ActivityListener) -> None:
    queue = bullmq_node.queue("orders")
    await listener.follow([ORDERS])

    async def heard_at() -> float:
        assert await listener.wait_for_activity(5) == {ORDERS}
        return time.time()

    delays = []
    for _ in range(50):
        heard = asyncio.create_task(heard_at())
        await asyncio.sleep(0.005)
        _, stored = await queue.add_timed()
        delays.append(await heard - stored)
    assert statistics.median(delays) < 0.02
