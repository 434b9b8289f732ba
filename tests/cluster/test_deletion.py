"""Deleting a QueueJob takes everything with it, with or without an operator.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import pytest

from tests.cluster.queuejobs import PAUSING, queuejob, ready, replicas
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def test_deployment_and_pods_go_with_the_queuejob(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(2))
    await namespace.create(queuejob("orders", template=PAUSING))
    await namespace.until(
        "Deployment", "orders", lambda body: body.get("status", {}).get("readyReplicas") == 2, limit=60
    )

    await namespace.delete("QueueJob", "orders")

    await namespace.gone("QueueJob", "orders")
    await namespace.gone("Deployment", "orders")
    await namespace.when(lambda: namespace.all("Pod") == [], limit=30)
    assert (await queue.counts())["waiting"] == 2  # items stay where they are
    assert operator.seen("reconcile_failed") == []


async def test_a_queuejob_outlives_no_operator(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 2)
    await ready(namespace, "orders")
    operator.kill()
    await operator.ended()

    await namespace.delete("QueueJob", "orders")

    await namespace.gone("QueueJob", "orders")
    await namespace.gone("Deployment", "orders")
    for version in namespace.history("QueueJob", "orders"):
        metadata = version.body["metadata"]
        assert "finalizers" not in metadata
        assert "annotations" not in metadata
    for version in namespace.history("Deployment", "orders"):
        assert "finalizers" not in version.body["metadata"]
        assert not any("kopf" in name for name in version.body["metadata"]["annotations"])


async def test_a_queuejob_deleted_in_the_foreground_starts_nothing_new(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    """Foreground deletion keeps the QueueJob until its Deployment is gone: it must not be made again."""
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    first = await replicas(namespace, "orders", 2)
    path = f"/apis/bullherd.dev/v1alpha1/namespaces/{namespace.name}/queuejobs/orders"
    await namespace.api.request("DELETE", path, {"propagationPolicy": "Foreground"})
    await namespace.gone("QueueJob", "orders")
    await namespace.gone("Deployment", "orders")
    uids = {version.body["metadata"]["uid"] for version in namespace.history("Deployment", "orders")}
    assert uids == {first["metadata"]["uid"]}


async def test_a_queuejob_made_anew_under_its_old_name(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    first = await replicas(namespace, "orders", 2)
    await namespace.delete("QueueJob", "orders")
    await namespace.create(queuejob("orders", itemsPerReplica=2))

    await namespace.until(
        "Deployment",
        "orders",
        lambda body: body["metadata"]["uid"] != first["metadata"]["uid"] and body["spec"]["replicas"] == 1,
        limit=30,
    )
    await ready(namespace, "orders")


async def test_deleted_while_no_operator_runs(
    namespace: Namespace, operator: Operator, start_operator: StartOperator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    await operator.stop()
    await namespace.delete("QueueJob", "orders")
    await namespace.create(queuejob("mails"))
    successor = await start_operator()
    await ready(namespace, "mails")
    assert [one["queue"] for one in successor.seen("queue_discovered")] == ["mails"]
    await bullmq_node_6.queue("orders").add()
    await namespace.gone("Deployment", "orders")
