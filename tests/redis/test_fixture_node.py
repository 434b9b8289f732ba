"""The bullmq_node fixture itself: calls, workers, errors. Needs redis-server, Node 20 and npm."""

from __future__ import annotations

import pytest

from tests.fixtures.node import BullmqNode, NodeError, StartNode
from tests.fixtures.redis import StartRedis

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_an_item_goes_through_a_worker(bullmq_node: BullmqNode) -> None:
    queue = bullmq_node.queue("orders")
    good = await queue.add("any", {"return": {"ä": 1}})
    worker = await queue.worker(concurrency=1)
    assert await queue.wait_until_finished(good, limit=5) == {"ä": 1}
    bad = await queue.add("any", {"fail": "no luck"})
    with pytest.raises(NodeError, match="no luck"):
        await queue.wait_until_finished(bad, limit=5)
    item = await queue.item(bad)
    assert item is not None
    assert (item.state, item.failedReason, item.attemptsMade) == ("failed", "no luck", 1)
    await worker.close()
    assert [event["event"] for event in worker.events if event["event"] != "started"] == [
        "ready",
        "completed",
        "failed",
        "closed",
    ]


async def test_a_killed_worker_leaves_its_item_active(bullmq_node: BullmqNode) -> None:
    queue = bullmq_node.queue("orders", prefix="shop")
    item_id = await queue.add()
    worker = await queue.worker(hold=True)
    assert await worker.started() == [item_id]
    worker.kill()
    await worker.ended()
    assert (await queue.counts())["active"] == 1


async def test_login_and_tls(start_redis: StartRedis, start_node: StartNode) -> None:
    server = start_redis(username="ann", password="s3cret", db=2, tls=True, client_certificate=True)
    queue = (await start_node("v6", server)).queue("orders")
    await queue.add_bulk([1, 2, 3])
    assert await server.client().llen("bull:orders:wait") == 3
