"""Replicas that are not enough for all: who has them, who waits, and that no moment has more than the budget.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

from itertools import chain

import pytest

from tests.cluster.queuejobs import PAUSING, condition, queuejob, replicas
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

NAMES = ("results", "letters", "reports")
PRIORITIES = dict(zip(NAMES, ("High", "Medium", "Low"), strict=True))


def wanted(name: str, **scaling: int) -> Body:
    body = queuejob(name, template=PAUSING, **{"cooldownSeconds": 0, **scaling})
    body["spec"]["priority"] = PRIORITIES[name]
    return body


def most_at_once(namespace: Namespace) -> int:
    """The most replicas that all Deployments have ever asked for together."""
    versions = chain.from_iterable(
        [
            (version.at, name, version.body["spec"]["replicas"])
            for version in namespace.history("Deployment", name)
        ]
        for name in NAMES
    )
    now = dict.fromkeys(NAMES, 0)
    most = 0
    for _, name, asked in sorted(versions):
        now[name] = asked
        most = max(most, sum(now.values()))
    return most


@pytest.fixture
async def operator(
    start_operator: StartOperator, connections: Connections, redis_server: RedisServer
) -> Operator:
    """It may give out six replicas."""
    connections.write("default", redis_server.endpoint)
    return await start_operator(MAX_TOTAL_REPLICAS="6")


async def test_the_important_come_first_and_everybody_has_one(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    for name in reversed(NAMES):
        await bullmq_node_6.queue(name).add_bulk(range(5))
        await namespace.create(wanted(name))
    await replicas(namespace, "results", 4)
    await replicas(namespace, "letters", 1)
    await replicas(namespace, "reports", 1)

    def told(body: Body) -> bool:
        limited = condition(body, "ScalingLimited")
        return "High 4, Medium 1, Low 1" in limited.get("message", "")

    short = await namespace.until("QueueJob", "reports", told)
    assert condition(short, "ScalingLimited")["reason"] == "BudgetExhausted"
    assert "needs 5, may have 1" in condition(short, "ScalingLimited")["message"]
    assert condition(short)["status"] == "True"
    await operator.metric("bullherd_replicas_denied", lambda denied: denied == 4, queuejob="reports")

    await bullmq_node_6.queue("results").call("drain")
    await replicas(namespace, "results", 0)
    await replicas(namespace, "letters", 5)
    await replicas(namespace, "reports", 1)
    await bullmq_node_6.queue("letters").call("drain")
    await replicas(namespace, "reports", 5)
    await operator.metric("bullherd_replicas_denied", lambda denied: denied == 0, queuejob="reports")
    assert most_at_once(namespace) == 6


async def test_work_that_runs_is_not_cut_for_the_important(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("reports")
    await queue.add_bulk(range(6))
    await namespace.create(wanted("reports"))
    await replicas(namespace, "reports", 6)
    worker = await queue.worker(concurrency=4, hold=True)
    await worker.started(4)

    await bullmq_node_6.queue("results").add_bulk(range(5))
    await namespace.create(wanted("results"))

    # The test's worker is none of the pods, so four of them may be the ones that hold its items.
    await replicas(namespace, "reports", 4)
    await replicas(namespace, "results", 2)
    assert most_at_once(namespace) == 6


async def test_a_new_leader_gives_out_nothing_that_others_have(
    namespace: Namespace, operator: Operator, start_operator: StartOperator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("letters").add_bulk(range(6))
    await namespace.create(wanted("letters", cooldownSeconds=300))
    await replicas(namespace, "letters", 6)
    assert await operator.stop() == 0
    for name in ("results", "reports"):
        await bullmq_node_6.queue(name).add_bulk(range(5))
        await namespace.create(wanted(name))

    await start_operator(MAX_TOTAL_REPLICAS="6")

    await replicas(namespace, "letters", 1)
    await replicas(namespace, "results", 4)
    await replicas(namespace, "reports", 1)
    assert most_at_once(namespace) == 6


async def test_a_namespace_has_a_budget_of_its_own(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    connections.write("default", redis_server.endpoint)
    await start_operator(NAMESPACE_BUDGETS=f'{{"{namespace.name}": 2, "*": 50}}')
    await bullmq_node_6.queue("results").add_bulk(range(5))
    await namespace.create(wanted("results"))
    await replicas(namespace, "results", 2)
    body = await namespace.until(
        "QueueJob",
        "results",
        lambda body: condition(body, "ScalingLimited").get("reason") == "BudgetExhausted",
    )
    assert namespace.name in condition(body, "ScalingLimited")["message"]
