"""A queue stays whose pods work it, while the connection of their QueueJob has a problem.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import pytest

from tests.cluster.queuejobs import queuejob, ready, replicas, steps
from tests.cluster.test_rivals import create_younger
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def test_a_younger_one_does_not_start_a_second_set_of_workers(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    for name in ("shop", "default"):
        connections.write(name, redis_server.endpoint)
    operator = await start_operator()
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    older = await namespace.create(queuejob("older", queue="orders", redis={"connection": "shop"}))
    await replicas(namespace, "older", 3)

    (connections.folder / "shop.yaml").unlink()
    await ready(namespace, "older", "ConnectionUnknown")
    await create_younger(namespace, queuejob("younger", queue="orders"), than=older)
    await ready(namespace, "younger", "QueueTaken")

    # The next operator never saw the connection; the Deployment tells it whose the queue is.
    assert await operator.stop() == 0
    successor = await start_operator()
    await successor.metric("bullherd_desired_replicas", lambda n: n == 3, queuejob="older")
    await successor.metric("bullherd_desired_replicas", lambda n: n == 0, queuejob="younger")
    assert namespace.history("Deployment", "younger") == []

    connections.write("shop", redis_server.endpoint)
    await ready(namespace, "older")
    assert namespace.history("Deployment", "younger") == []
    assert steps(namespace, "older") in ([3], [0, 3])
