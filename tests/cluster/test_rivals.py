"""Two QueueJobs for one queue: the older one has it, the younger one waits and says so.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import pytest

from tests.cluster.queuejobs import condition, queuejob, ready, replicas, steps
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def create_younger(namespace: Namespace, body: Body, than: Body) -> Body:
    """Creation times have whole seconds, so only one in a later second is surely younger."""
    created = datetime.fromisoformat(than["metadata"]["creationTimestamp"]).timestamp()
    await asyncio.sleep(max(0.0, created + 1.01 - time.time()))
    return await namespace.create(body)


async def test_the_younger_one_waits_and_takes_over(
    namespace: Namespace, operator: Operator, start_operator: StartOperator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    older = await namespace.create(queuejob("zebra", queue="orders"))
    await replicas(namespace, "zebra", 3)
    await create_younger(namespace, queuejob("ant", queue="orders"), than=older)

    younger = await ready(namespace, "ant", "QueueTaken")
    message = condition(younger)["message"]
    assert f"the older QueueJob {namespace.name}/zebra" in message
    assert namespace.current("Deployment", "ant") is None

    # The next operator sees the younger one first, by its name, and must not believe it to be alone.
    assert await operator.stop() == 0
    successor = await start_operator()
    await successor.metric("bullherd_desired_replicas", lambda n: n == 0, queuejob="ant")
    await successor.metric("bullherd_desired_replicas", lambda n: n == 3, queuejob="zebra")
    assert namespace.history("Deployment", "ant") == []
    assert steps(namespace, "zebra")[-1] == 3

    await namespace.delete("QueueJob", "zebra")
    await replicas(namespace, "ant", 3)
    await ready(namespace, "ant")
    await namespace.gone("Deployment", "zebra")


async def test_workers_of_one_that_became_the_younger_go(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    """It had another Redis, and so another queue, until its author named the older one's."""
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    older = await namespace.create(queuejob("first", queue="orders"))
    elsewhere = queuejob("second", queue="orders", redis={"host": "127.0.0.1", "port": 1}, minReplicas=1)
    await create_younger(namespace, elsewhere, than=older)
    await ready(namespace, "second", "QueueUnreadable")
    await namespace.patch("Deployment", "second", {"spec": {"replicas": 1}}, "scale")

    redis = {"connection": "default", "host": None, "port": None}
    await namespace.patch("QueueJob", "second", {"spec": {"redis": redis}})

    await ready(namespace, "second", "QueueTaken")
    await replicas(namespace, "second", 0)
    await replicas(namespace, "first", 2)


async def test_same_name_with_another_prefix_is_another_queue(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add()
    await bullmq_node_6.queue("orders", prefix="eu").add_bulk(range(2))
    await namespace.create(queuejob("plain", queue="orders"))
    other = queuejob("european", queue="orders")
    other["spec"]["queue"]["prefix"] = "eu"
    await namespace.create(other)
    await replicas(namespace, "plain", 1)
    await replicas(namespace, "european", 2)
