"""Worker pods that cannot start: the QueueJob says which and why, and heals by itself.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl
from tests.cluster.queuejobs import PAUSING, UNSCHEDULABLE, condition, queuejob, ready, reasons, replicas
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

TOLD_LIMIT_S = 40.0
"""15 s of patience, and a look."""


def pausing(**container: Any) -> Body:
    template = copy.deepcopy(PAUSING)
    template["spec"]["containers"][0] |= container
    return template


async def scaled_up(namespace: Namespace, bullmq_node_6: BullmqNode, template: Body, items: int) -> None:
    """A QueueJob whose Deployment was made at 0 replicas and scaled up later."""
    await namespace.create(queuejob("orders", template=template))
    await replicas(namespace, "orders", 0)
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(items))
    await replicas(namespace, "orders", items)


async def test_a_wrong_image_is_told_and_heals(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode, cluster: Any
) -> None:
    wrong = pausing(image="localhost/no-such-image:1", imagePullPolicy="Never")
    await scaled_up(namespace, bullmq_node_6, wrong, items=2)

    body = await ready(namespace, "orders", "PodsNotStarting", TOLD_LIMIT_S)

    message = condition(body)["message"]
    assert message.startswith("No worker pod is ready; 2 of 2: ErrImageNeverPull: ")
    assert "localhost/no-such-image:1" in message
    assert message in Kubectl(cluster.kubeconfig)("-n", namespace.name, "get", "qj", "-o", "wide")
    assert (body["status"]["replicas"], body["status"]["readyReplicas"]) == (2, 0)
    await namespace.when(lambda: "PodsNotStarting" in reasons(namespace, "orders"))

    await namespace.patch("QueueJob", "orders", {"spec": {"template": PAUSING}})
    await ready(namespace, "orders", limit=TOLD_LIMIT_S)
    await namespace.when(lambda: reasons(namespace, "orders")[-1] == "Scaling")
    assert reasons(namespace, "orders") == ["Scaling", "ScaledUp", "PodsNotStarting", "Scaling"]


async def test_no_node_for_them_is_told(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await scaled_up(namespace, bullmq_node_6, UNSCHEDULABLE, items=3)
    body = await ready(namespace, "orders", "PodsNotStarting", TOLD_LIMIT_S)
    assert condition(body)["message"].startswith("No worker pod is ready; 3 of 3: Unschedulable: 0/1 nodes")


async def test_a_key_that_a_secret_has_not_is_told_and_heals(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(secret("redis", other="x"))
    source = {"secretKeyRef": {"name": "redis", "key": "password"}}
    template = pausing(env=[{"name": "REDIS_PASSWORD", "valueFrom": source}])
    await scaled_up(namespace, bullmq_node_6, template, items=1)

    body = await ready(namespace, "orders", "PodsNotStarting", TOLD_LIMIT_S)

    assert "1 of 1: CreateContainerConfigError: couldn't find key password" in condition(body)["message"]
    await namespace.patch("Secret", "redis", {"stringData": {"password": "x"}})
    await ready(namespace, "orders", limit=90)


async def test_a_container_that_ends_at_once_is_told_with_its_exit_code(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    """Without a readiness probe it is ready for a moment each time, which is no reason to call it well."""
    await scaled_up(namespace, bullmq_node_6, pausing(command=["/busybox", "false"]), items=1)
    body = await ready(namespace, "orders", "PodsNotStarting", 90)
    assert "the container worker ended with exit code 1 (Error)" in condition(body)["message"]
    told = body["status"]["conditions"][0]["lastTransitionTime"]

    def ended_again(pod: Body) -> bool:
        (status,) = pod["status"].get("containerStatuses") or [{}]
        return status.get("restartCount", 0) >= 4

    await namespace.when(lambda: any(map(ended_again, namespace.all("Pod"))), limit=90)
    now = await namespace.get("QueueJob", "orders")
    assert condition(now)["reason"] == "PodsNotStarting"
    assert condition(now)["lastTransitionTime"] == told


def secret(name: str, **values: str) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
