"""A worker works what Node adds, and Node sees what it did. Needs redis-server and Node 20."""

from __future__ import annotations

import pytest

from tests.fixtures.node import BullmqNode
from tests.worker.conftest import StartWorker

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_node_waits_for_the_result(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    worker = await start_worker("letters", kind="say")
    queue = bullmq_node.queue("letters")
    item_id = await queue.add("hello", {"text": "příliš žluťoučký"})
    result = await queue.wait_until_finished(item_id, limit=10)
    assert result == {
        "data": {"text": "příliš žluťoučký"},
        "id": item_id,
        "name": "hello",
        "attempt": 1,
        "queue": "letters",
    }
    item = await queue.item(item_id)
    assert item is not None
    assert item.state == "completed"
    assert item.processedBy == "pod-0"
    assert (item.attemptsMade, item.attemptsStarted) == (1, 1)
    assert await worker.terminate() == 0
