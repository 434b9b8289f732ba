"""How old the oldest waiting item is, by bullmq 5 and 6. Needs redis-server, Node 20 and npm.

Items get their times with bullmq's ``timestamp`` option, so that no test waits. ``T`` is any past moment.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fixtures.node import BullmqNode, NodeQueue
from tests.fixtures.redis import RedisServer
from tests.redis.conftest import Look

pytestmark = [pytest.mark.redis, pytest.mark.node]

T = 1_700_000_000


async def add(queue: NodeQueue, seconds: float, data: Any = None, **opts: Any) -> str:
    """An item that was created ``seconds`` after T."""
    return await queue.add("item", data, timestamp=int((T + seconds) * 1000), **opts)


async def test_nothing_waits(bullmq_node: BullmqNode, look: Look) -> None:
    await bullmq_node.queue("orders").add(delay=60_000)
    assert (await look("orders")).oldest_item_at is None


async def test_plain_items(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    for seconds in (0, 10, 20):
        await add(queue, seconds)
    snapshot = await look("orders", now=T + 25)
    assert snapshot.oldest_item_at == T
    assert snapshot.oldest_item_age == 25


@pytest.mark.parametrize(("plain", "lifo"), [(9, 7), (2, 1), (1, 2), (1, 30), (0, 5)])
async def test_a_plain_item_starves_behind_lifo_ones(
    bullmq_node_6: BullmqNode, look: Look, plain: int, lifo: int
) -> None:
    """The oldest is in the middle of the list, wherever that is."""
    queue = bullmq_node_6.queue("orders")
    for n in range(plain):
        await add(queue, n)
    for n in range(lifo):
        await add(queue, 100 + n, lifo=True)
    assert (await look("orders")).oldest_item_at == (T if plain else T + 100)


async def test_in_a_paused_queue(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    await add(queue, 0)
    await add(queue, 1)
    await queue.pause()
    assert (await look("orders")).oldest_item_at == T


async def test_the_starving_item_of_a_less_urgent_priority(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    await add(queue, 0, priority=2_000_000)
    for n in range(40):  # more priorities than are looked at one by one
        await add(queue, 10 + n, priority=1 + n)
    assert (await look("orders")).oldest_item_at == T


async def test_the_oldest_of_a_priority_in_the_middle(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    for priority, seconds in ((1, 20), (5, 0), (5, 1), (9, 30)):
        await add(queue, seconds, priority=priority)
    assert (await look("orders")).oldest_item_at == T


async def test_a_wanted_delay_is_not_waiting(bullmq_node: BullmqNode, look: Look) -> None:
    """Added at T with a delay of an hour and promoted by a worker when due: it waits since T + 1 h."""
    queue = bullmq_node.queue("orders")
    item = await add(queue, 0, delay=3_600_000)
    snapshot = await look("orders", now=T + 3600 + 5)
    assert (snapshot.delayed_due, snapshot.oldest_item_at, snapshot.oldest_item_age) == (1, T + 3600, 5)

    await queue.on_item(item, "promote")
    snapshot = await look("orders")
    assert (snapshot.waiting, snapshot.oldest_item_at) == (1, T + 3600)


async def test_a_retried_item_waits_since_it_was_last_taken(bullmq_node: BullmqNode, look: Look) -> None:
    queue = bullmq_node.queue("orders")
    before = time.time()
    await add(queue, 0, attempts=2, data={"sleep": 200, "fail": "no luck"})
    worker = await queue.worker()
    await worker.started(1)
    await worker.close()  # waits for the attempt, does not begin the next
    snapshot = await look("orders")
    assert snapshot.waiting == 1
    assert snapshot.oldest_item_at is not None
    assert before - 0.001 <= snapshot.oldest_item_at <= time.time()


async def test_an_item_whose_hash_is_gone_is_passed_over(
    bullmq_node: BullmqNode, redis_server: RedisServer, look: Look
) -> None:
    queue = bullmq_node.queue("orders")
    gone = await add(queue, 0)
    await add(queue, 5)
    await redis_server.client().delete(f"bull:orders:{gone}")
    snapshot = await look("orders")
    assert (snapshot.waiting, snapshot.oldest_item_at) == (2, T + 5)
