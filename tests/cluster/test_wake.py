"""From 0 replicas to as many as the items need: what wakes a queue, how fast, and what does not.

Needs the cluster, redis-server, and Node with both majors of bullmq.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import PAUSING, queuejob, ready, replicas, steps
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def test_items_start_pods_in_one_step(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", concurrency=5, maxReplicas=3, template=PAUSING))
    await replicas(namespace, "orders", 0)

    await bullmq_node.queue("orders").add_bulk([{"n": n} for n in range(11)])

    await replicas(namespace, "orders", 3)
    assert steps(namespace, "orders") == [0, 3]
    deployment = await namespace.until(
        "Deployment", "orders", lambda body: body.get("status", {}).get("readyReplicas") == 3, limit=60
    )
    await namespace.when(lambda: [pod["status"]["phase"] for pod in namespace.all("Pod")] == ["Running"] * 3)
    assert deployment["metadata"]["ownerReferences"][0]["name"] == "orders"
    scaled = await operator.event("scaled", queuejob="orders")
    assert (scaled["from_replicas"], scaled["to_replicas"]) == (0, 3)
    assert scaled["reason"] == "backlog 11 at 5 per replica"


async def test_an_item_wakes_a_queue_that_was_there_before_the_operator_and_the_queuejob(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add()
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 1)


async def test_a_delayed_item_wakes_at_its_time_and_not_before(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")

    added = time.time()
    await bullmq_node.queue("orders").add(delay=3000)
    await operator.metric("bullherd_queue_items", lambda n: n == 1, queuejob="orders", state="delayed")
    assert steps(namespace, "orders") == [0]

    await replicas(namespace, "orders", 1)
    woken = namespace.history("Deployment", "orders")[-1].at
    assert 3.0 <= woken - added < 5.0


async def test_a_prioritized_item_wakes(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    await bullmq_node.queue("orders").add(priority=7)
    await replicas(namespace, "orders", 1)
    body = await namespace.until(
        "QueueJob", "orders", lambda body: body["status"].get("scaling", {}).get("desiredReplicas") == 1
    )
    assert body["status"]["counts"]["prioritized"] == 1


async def test_a_paused_queue_sleeps_until_it_is_resumed(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    queue = bullmq_node.queue("orders")
    await queue.pause()
    await queue.add_bulk([1, 2, 3])
    await operator.metric("bullherd_queue_backlog", lambda n: n == 3, queuejob="orders")

    body = await namespace.until("QueueJob", "orders", lambda body: body["status"].get("paused") is True)
    assert body["status"]["scaling"]["desiredReplicas"] == 0
    assert steps(namespace, "orders") == [0]

    await queue.resume()
    await replicas(namespace, "orders", 3)
    assert steps(namespace, "orders") == [0, 3]
    await namespace.until("QueueJob", "orders", lambda body: body["status"].get("paused") is False)


async def test_a_queue_wakes_again_and_again(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", cooldownSeconds=0))
    await ready(namespace, "orders")
    queue = bullmq_node_6.queue("orders")
    for _ in range(5):
        await queue.add()
        await replicas(namespace, "orders", 1)
        await queue.call("drain")
        await replicas(namespace, "orders", 0)
    assert steps(namespace, "orders") == [0, *[1, 0] * 5]


async def test_a_queue_with_an_own_prefix_wakes(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    body = queuejob("orders")
    body["spec"]["queue"] = {"name": "orders-v2", "prefix": "{shop}:eu"}
    await namespace.create(body)
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders-v2").add()
    await bullmq_node_6.queue("orders-v2", prefix="{shop}:eu").add_bulk([1, 2])
    await replicas(namespace, "orders", 2)


async def test_a_wake_does_not_wait_for_the_tick(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node: BullmqNode,
) -> None:
    connections.write("default", redis_server.endpoint)
    await start_operator(TICK_SECONDS="60")
    for name in ("orders", "mails"):
        await namespace.create(queuejob(name, cooldownSeconds=0))
        await ready(namespace, name)

    await bullmq_node.queue("orders").add_bulk(range(2))
    await replicas(namespace, "orders", 2, limit=5)

    added = time.time()
    await bullmq_node.queue("mails").add(delay=2000)
    await replicas(namespace, "mails", 1, limit=10)
    assert 2.0 <= namespace.history("Deployment", "mails")[-1].at - added < 5.0
