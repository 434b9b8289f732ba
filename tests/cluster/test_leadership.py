"""One operator leads: what happens to the work, and how fast, when it dies, leaves, or is cut off.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bullherd.api import QueueJob
from bullherd.core.connection import Connection
from bullherd.core.deployment import worker_deployment
from bullherd.kube.deployments import TEMPLATE_MANAGER
from tests.cluster.queuejobs import desired, queuejob, ready, replicas, steps
from tests.fixtures.api_proxy import ApiProxy
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


def at(event: dict[str, Any]) -> float:
    """When a line was logged, unix seconds."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


async def test_a_standby_leads_within_15_s_of_the_leaders_death(
    namespace: Namespace, operator: Operator, start_operator: StartOperator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    standby = await start_operator(leading=False)
    assert (await standby.http("/readyz"))[0] == 200
    assert (await standby.http("/healthz"))[0] == 200
    assert await standby.metrics("bullherd_leader") == {(): 0.0}
    assert await operator.metrics("bullherd_leader") == {(): 1.0}

    died = time.time()
    operator.kill()
    await bullmq_node_6.queue("orders").add_bulk(range(3))

    await replicas(namespace, "orders", 3, limit=20)
    assert namespace.history("Deployment", "orders")[-1].at - died < 15
    assert await standby.metrics("bullherd_leader") == {(): 1.0}
    lease = await namespace.get("Lease", "bullherd-operator")
    assert lease["spec"]["holderIdentity"].startswith(f"{standby.name}_")
    assert lease["spec"]["leaseTransitions"] == 1


async def test_a_standby_leads_at_once_when_the_leader_leaves(
    namespace: Namespace, operator: Operator, start_operator: StartOperator
) -> None:
    standby = await start_operator(leading=False)
    asked = time.time()
    assert await operator.stop() == 0
    assert time.time() - asked < 2
    started = await standby.event("operator_started")
    assert at(started) - asked < 4
    assert operator.seen("operator_stopped")


async def test_two_of_one_name_do_not_both_lead(namespace: Namespace, start_operator: StartOperator) -> None:
    """As when two are started on one machine, or a pod is made twice in a partition."""
    first = await start_operator(name="twin")
    second = await start_operator(name="twin", leading=False)
    await asyncio.sleep(5)  # two tries for the Lease
    assert await first.metrics("bullherd_leader") == {(): 1.0}
    assert await second.metrics("bullherd_leader") == {(): 0.0}
    first.kill()
    await second.event("operator_started", limit=20)


async def test_a_lost_lease_ends_the_process(namespace: Namespace, operator: Operator) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    theirs = {"spec": {"holderIdentity": "somebody-else", "renewTime": now}}
    await namespace.patch("Lease", "bullherd-operator", theirs)

    assert await operator.ended() == 1

    assert operator.seen("leadership_lost")
    lease = await namespace.get("Lease", "bullherd-operator")
    assert lease["spec"]["holderIdentity"] == "somebody-else"


async def test_a_leader_that_is_cut_off_ends_before_a_standby_leads(
    namespace: Namespace, start_operator: StartOperator, api_proxy: ApiProxy
) -> None:
    leader = await start_operator(kubeconfig=api_proxy.kubeconfig, LEASE_DURATION_SECONDS="4")
    standby = await start_operator(leading=False, LEASE_DURATION_SECONDS="4")

    api_proxy.cut()

    assert await leader.ended() == 1
    ended = time.time()
    assert leader.seen("leadership_lost")
    assert at(await standby.event("operator_started")) > ended


async def test_an_api_server_that_is_away_for_a_moment_ends_nothing(
    namespace: Namespace,
    start_operator: StartOperator,
    api_proxy: ApiProxy,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    connections.write("default", redis_server.endpoint)
    operator = await start_operator(kubeconfig=api_proxy.kubeconfig)
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")

    api_proxy.cut()
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await operator.event("reconcile_failed", queuejob="orders")
    api_proxy.mend()

    await replicas(namespace, "orders", 3, limit=30)
    # The watches have come back, too.
    await namespace.create(queuejob("mails"))
    await ready(namespace, "mails", limit=30)
    assert (await operator.http("/healthz"))[0] == 200
    assert len(operator.seen("operator_started")) == 1


async def test_operators_killed_while_scaling_leave_one_deployment_that_only_grew(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    connections.write("default", redis_server.endpoint)
    queue = bullmq_node_6.queue("orders")
    chance = random.Random(3)
    await namespace.create(queuejob("orders", maxReplicas=100))
    for number in range(6):
        # Each has a Lease of its own, so that none waits for a dead one's.
        operator = await start_operator(LEASE_NAME=f"lease-{number}")
        await queue.add_bulk(range(5))
        await asyncio.sleep(chance.uniform(0.0, 0.06))  # any moment of its work
        operator.kill()
        await operator.ended()
    await start_operator()

    await replicas(namespace, "orders", 30)
    body = await namespace.until("QueueJob", "orders", lambda body: desired(body) == 30)
    assert body["status"]["backlog"] == 30
    asked = steps(namespace, "orders")
    assert asked == sorted(asked)
    assert [one["metadata"]["name"] for one in namespace.all("Deployment")] == ["orders"]
    uids = {version.body["metadata"]["uid"] for version in namespace.history("Deployment", "orders")}
    assert len(uids) == 1


async def test_one_killed_between_making_the_deployment_and_owning_its_replicas(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    """Without an owner of their own the replicas would fall to 1 with the next template."""
    connections.write("default", redis_server.endpoint)
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    created = await namespace.create(queuejob("orders"))
    manifest = worker_deployment(QueueJob.parse(created), Connection(redis_server.endpoint), "")
    manifest["spec"]["replicas"] = 3
    path = f"/apis/apps/v1/namespaces/{namespace.name}/deployments/orders"
    await namespace.api.request(
        "PATCH", path, manifest, "application/apply-patch+yaml", fieldManager=TEMPLATE_MANAGER, force="true"
    )

    await start_operator()

    await ready(namespace, "orders")
    change = {"spec": {"template": {"metadata": {"annotations": {"release": "two"}}}}}
    await namespace.patch("QueueJob", "orders", change)
    await namespace.until(
        "Deployment", "orders", lambda body: "annotations" in body["spec"]["template"]["metadata"]
    )
    assert steps(namespace, "orders") == [3]
