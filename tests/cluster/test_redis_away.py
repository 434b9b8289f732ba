"""A Redis that is away, restarts, hangs or is spoilt: replicas are held, the condition says why, it heals.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import condition, queuejob, ready, reasons, replicas, steps
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def test_unreachable_at_the_start(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    start_node: StartNode,
) -> None:
    redis_server.stop()
    connections.write("default", redis_server.endpoint)
    await start_operator()
    await namespace.create(queuejob("orders"))
    body = await ready(namespace, "orders", "QueueUnreadable")
    assert f"Redis at 127.0.0.1:{redis_server.port}/0 cannot be used" in condition(body)["message"]
    assert condition(body, "RedisReachable")["status"] == "False"
    assert "backlog" not in body["status"]  # unknown is not zero

    redis_server.start()

    await (await start_node("v6", redis_server)).queue("orders").add_bulk(range(3))
    await replicas(namespace, "orders", 3)
    body = await ready(namespace, "orders")
    assert condition(body, "RedisReachable")["status"] == "True"
    assert reasons(namespace, "orders")[0] == "QueueUnreadable"


async def test_replicas_are_held_while_redis_restarts(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", cooldownSeconds=0))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await replicas(namespace, "orders", 3)

    redis_server.stop()
    body = await ready(namespace, "orders", "QueueUnreadable")
    assert body["status"]["scaling"]["reason"] == "3 kept: the queue cannot be read"
    assert body["status"]["scaling"]["desiredReplicas"] == 3
    redis_server.start()

    await ready(namespace, "orders")
    assert steps(namespace, "orders") == [0, 3]


async def test_a_redis_that_hangs_holds_the_replicas(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", cooldownSeconds=0))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await replicas(namespace, "orders", 3)
    redis_server.freeze()
    try:
        await ready(namespace, "orders", "QueueUnreadable")
        assert (await operator.http("/healthz"))[0] == 200
    finally:
        redis_server.thaw()
    await ready(namespace, "orders")
    assert steps(namespace, "orders") == [0, 3]


async def test_a_restarted_operator_holds_replicas_while_redis_is_away(
    namespace: Namespace,
    operator: Operator,
    start_operator: StartOperator,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    await namespace.create(queuejob("orders", cooldownSeconds=0))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await replicas(namespace, "orders", 3)
    redis_server.stop()
    await operator.stop()

    successor = await start_operator()

    await ready(namespace, "orders", "QueueUnreadable")
    await successor.metric("bullherd_desired_replicas", lambda n: n == 3, queuejob="orders")
    redis_server.start()
    await successor.event("queue_readable_again")
    await ready(namespace, "orders")
    assert steps(namespace, "orders") == [0, 3]


async def test_a_sleeping_queue_wakes_after_a_restart_of_redis(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    redis_server.restart()
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    added = time.time()
    await replicas(namespace, "orders", 2)
    assert namespace.history("Deployment", "orders")[-1].at - added < 5


async def test_one_spoilt_queue_does_not_spoil_the_others(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await redis_server.client().set("bull:spoilt:wait", "no list")
    await namespace.create(queuejob("spoilt"))
    await namespace.create(queuejob("orders"))
    body = await ready(namespace, "spoilt", "QueueUnreadable")
    assert "bull:spoilt" in condition(body)["message"]
    await ready(namespace, "orders")

    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await replicas(namespace, "orders", 2)

    await redis_server.client().delete("bull:spoilt:wait")
    await bullmq_node_6.queue("spoilt").add()
    await replicas(namespace, "spoilt", 1)
    await ready(namespace, "spoilt")
