"""How many replicas: growing at once, shrinking after the cooldown, and never under what is busy.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import queuejob, ready, reasons, replicas, steps
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def test_an_idle_queue_goes_to_zero_after_its_cooldown(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(4))
    await namespace.create(queuejob("orders", cooldownSeconds=2))
    await replicas(namespace, "orders", 4)

    drained = time.time()
    await queue.call("drain")

    await replicas(namespace, "orders", 0)
    assert 2.0 <= namespace.history("Deployment", "orders")[-1].at - drained < 4.5
    assert steps(namespace, "orders")[-2:] == [4, 0]
    body = await namespace.until(
        "QueueJob", "orders", lambda body: body["status"]["scaling"]["desiredReplicas"] == 0
    )
    assert body["status"]["scaling"]["reason"] == "the queue is empty"
    assert body["status"]["scaling"]["changes"][0]["to"] == 0
    await namespace.when(lambda: "ScaledDown" in reasons(namespace, "orders"))


async def test_a_cooldown_goes_on_in_the_next_operator(
    namespace: Namespace, operator: Operator, start_operator: StartOperator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(queuejob("orders", cooldownSeconds=15))
    await replicas(namespace, "orders", 3)
    drained = time.time()
    await queue.call("drain")
    body = await namespace.until(
        "QueueJob", "orders", lambda body: "scaleIn" in body.get("status", {}).get("scaling", {})
    )
    assert "kept for another" in body["status"]["scaling"]["reason"]

    assert await operator.stop() == 0
    await start_operator()

    await replicas(namespace, "orders", 0, limit=30)
    assert 15.0 <= namespace.history("Deployment", "orders")[-1].at - drained < 18.0
    await namespace.until("QueueJob", "orders", lambda body: "scaleIn" not in body["status"]["scaling"])


async def test_new_items_end_the_wait_to_shrink(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(queuejob("orders", cooldownSeconds=2))
    await replicas(namespace, "orders", 3)
    await queue.call("drain")
    await operator.metric("bullherd_queue_backlog", lambda n: n == 0, queuejob="orders")

    await queue.add_bulk(range(5))

    await replicas(namespace, "orders", 5)
    await queue.call("drain")
    await replicas(namespace, "orders", 0)
    assert steps(namespace, "orders")[-3:] == [3, 5, 0]


async def test_busy_replicas_are_never_cut(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(25))
    await namespace.create(queuejob("orders", concurrency=1, itemsPerReplica=10, cooldownSeconds=1))
    await replicas(namespace, "orders", 3)
    worker = await queue.worker(concurrency=2, hold=True)
    await worker.started(2)

    await queue.call("drain")

    # Two active items are one replica's worth of backlog, yet keep two workers busy at concurrency 1.
    await replicas(namespace, "orders", 2)
    body = await namespace.until(
        "QueueJob", "orders", lambda body: body["status"]["scaling"]["desiredReplicas"] == 2
    )
    assert body["status"]["scaling"]["reason"].endswith("2 kept, for they are busy")
    assert body["status"]["counts"]["active"] == 2


async def test_min_and_max_hold(namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode) -> None:
    await namespace.create(queuejob("orders", minReplicas=2, maxReplicas=4, cooldownSeconds=0))
    await replicas(namespace, "orders", 2)
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(50))
    await replicas(namespace, "orders", 4)
    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"maxReplicas": 6}}})
    await replicas(namespace, "orders", 6)
    await queue.call("drain")
    await replicas(namespace, "orders", 2)
    assert steps(namespace, "orders")[-4:] == [2, 4, 6, 2]


async def test_the_queues_own_global_concurrency_caps(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.call("setGlobalConcurrency", 4)
    await queue.add_bulk(range(50))
    await namespace.create(queuejob("orders", concurrency=2))
    await replicas(namespace, "orders", 2)
    body = await ready(namespace, "orders")
    assert "global concurrency of 4" in body["status"]["scaling"]["reason"]


async def test_replicas_set_by_hand_are_set_back(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 3)
    for by_hand in (1, 0):  # too many is a matter of the cooldown
        await namespace.patch("Deployment", "orders", {"spec": {"replicas": by_hand}}, "scale")
        await namespace.when(lambda: steps(namespace, "orders")[-2:] == [by_hand, 3])  # noqa: B023


async def test_items_of_a_dead_worker_come_back(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node: BullmqNode,
) -> None:
    connections.write("default", redis_server.endpoint)
    operator = await start_operator(STALLED_CHECK_SECONDS="1")
    queue = bullmq_node.queue("orders")
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    item = await queue.add()
    worker = await queue.worker(hold=True, lockDuration=1000, skipStalledCheck=True)
    await worker.started(1)

    worker.kill()

    recovered = await operator.event("items_recovered")
    assert (recovered["queue"], recovered["items"]) == ("orders", [item])
    found = await queue.item(item)
    assert found is not None
    assert found.state == "waiting"
    assert max(steps(namespace, "orders")) == 1
