"""Flows: our worker finishes children and parents. Needs redis-server and Node 20."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


def flow(*children: dict[str, Any]) -> dict[str, Any]:
    """A parent in "parents" with these children in "children"."""
    rows = [{"name": "c", "queueName": "children", **child} for child in children]
    return {"name": "p", "queueName": "parents", "data": {"times": 0}, "children": rows}


async def test_a_parent_runs_after_its_children(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    await start_worker("children", kind="fail")
    await start_worker("parents", kind="fail")
    queue = bullmq_node.queue("parents")
    parent = await queue.call(
        "addFlow", flow({"data": {"times": 0}}, {"data": {"times": 1}, "opts": {"attempts": 2}})
    )
    await in_state(queue, parent, "completed")
    values = await queue.on_item(parent, "getChildrenValues")
    assert sorted(values.values()) == ["done at attempt 1", "done at attempt 2"]


@pytest.mark.parametrize(
    ("option", "state"),
    [
        ("failParentOnFailure", "failed"),
        ("ignoreDependencyOnFailure", "completed"),
        ("removeDependencyOnFailure", "completed"),
        ("continueParentOnFailure", "completed"),
    ],
)
async def test_what_a_failed_child_does_to_its_parent(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, option: str, state: str
) -> None:
    await start_worker("children", kind="fail")
    parents = await start_worker("parents", kind="fail")
    queue = bullmq_node_6.queue("parents")
    child = {"data": {"times": 9}, "opts": {option: True}}
    parent = await queue.call("addFlow", flow(child))
    item = await in_state(queue, parent, state)
    if state == "failed":
        assert item.failedReason is not None
        assert "child" in item.failedReason
        assert not parents.named("fail_job_start")


@pytest.mark.parametrize(("key", "attempts"), [("dependencies", 2), ("unsuccessful", 1)])
async def test_a_result_that_bullmq_refuses_for_the_children_fails_the_item(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer, key: str, attempts: int
) -> None:
    """Children that are not done may be done at the next attempt; failed ones stay so."""
    queue = bullmq_node_6.queue("q")
    await queue.pause()
    item_id = await queue.add("x", {"times": 0}, attempts=2)
    client = redis_server.client()
    if key == "dependencies":
        await client.sadd(f"bull:q:{item_id}:{key}", "bull:other:1")
    else:
        await client.zadd(f"bull:q:{item_id}:{key}", {"bull:other:1": 0})
    await start_worker("q", kind="fail")
    await queue.resume()
    item = await in_state(queue, item_id, "failed")
    assert item.failedReason is not None
    assert item.failedReason.startswith("The item cannot complete: it has children that")
    assert item.attemptsMade == attempts
