"""The worker Deployment: what is in it, who may change what of it, and what is never touched.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.cluster.queuejobs import PAUSING, UNSCHEDULABLE, condition, queuejob, ready, replicas, steps
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import StartRedis

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


def image_of(deployment: Body) -> str:
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def environment_of(deployment: Body) -> dict[str, Any]:
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in variables}


def stranger(name: str) -> Body:
    pods = {"metadata": {"labels": {"app": name}}, **copy.deepcopy(UNSCHEDULABLE)}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_workers_are_told_where_their_queue_is(
    namespace: Namespace, start_operator: StartOperator, connections: Connections, start_redis: StartRedis
) -> None:
    server = start_redis(username="app", password="s3cret", db=2)
    endpoint = server.endpoint
    connections.write_text(
        "shop",
        f"{{host: 127.0.0.1, port: {endpoint.port}, db: 2, username: app, password: s3cret, "
        f"namespaces: [{namespace.name}], workerSecret: {{name: shop-redis, passwordKey: pass}}}}",
    )
    await start_operator()
    await namespace.create(queuejob("orders", redis={"connection": "shop"}, concurrency=7))
    deployment = await replicas(namespace, "orders", 0)
    await ready(namespace, "orders")

    assert environment_of(deployment) == {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(endpoint.port),
        "REDIS_DB": "2",
        "REDIS_TLS": "false",
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": {"secretKeyRef": {"name": "shop-redis", "key": "pass"}},
        "QUEUE_NAME": "orders",
        "QUEUE_PREFIX": "bull",
        "QUEUE_CONCURRENCY": "7",
        "WORKER_NAME": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
    }
    assert "s3cret" not in str(deployment)


async def test_template_change_at_zero_replicas_keeps_zero(namespace: Namespace, operator: Operator) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    template = copy.deepcopy(UNSCHEDULABLE)
    template["spec"]["containers"][0]["image"] = "localhost/pause:changed"

    await namespace.patch("QueueJob", "orders", {"spec": {"template": template}})

    await namespace.until("Deployment", "orders", lambda body: image_of(body) == "localhost/pause:changed")
    await ready(namespace, "orders")
    assert steps(namespace, "orders") == [0]


async def test_template_change_rolls_out_and_keeps_the_replicas(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", template=PAUSING))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.until(
        "Deployment", "orders", lambda body: body.get("status", {}).get("readyReplicas") == 2, limit=60
    )
    first = {pod["metadata"]["name"] for pod in namespace.all("Pod")}

    change = {"spec": {"template": {"metadata": {"annotations": {"release": "two"}}}}}
    await namespace.patch("QueueJob", "orders", change)

    def replaced() -> bool:
        pods = namespace.all("Pod")
        return len(pods) == 2 and all(
            pod["metadata"].get("annotations", {}).get("release") == "two"
            and pod["status"]["phase"] == "Running"
            for pod in pods
        )

    await namespace.when(replaced, limit=60)
    assert first.isdisjoint(pod["metadata"]["name"] for pod in namespace.all("Pod"))
    assert steps(namespace, "orders") == [0, 2]


async def test_a_field_that_leaves_the_template_leaves_the_deployment(
    namespace: Namespace, operator: Operator
) -> None:
    template = copy.deepcopy(UNSCHEDULABLE)
    template["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "a"}]
    await namespace.create(queuejob("orders", template=template))
    await namespace.until("Deployment", "orders", lambda body: environment_of(body).get("MODE") == "a")
    template["spec"]["containers"][0].pop("env")
    await namespace.patch("QueueJob", "orders", {"spec": {"template": template}})
    await namespace.until("Deployment", "orders", lambda body: "MODE" not in environment_of(body))


async def test_a_deployment_deleted_by_hand_comes_back(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    first = await replicas(namespace, "orders", 3)

    await namespace.delete("Deployment", "orders")

    await namespace.until(
        "Deployment",
        "orders",
        lambda body: body["metadata"]["uid"] != first["metadata"]["uid"] and body["spec"]["replicas"] == 3,
    )
    assert steps(namespace, "orders") == [0, 3]


async def test_a_strangers_deployment_is_not_touched(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    theirs = await namespace.create(stranger("orders"))
    await bullmq_node_6.queue("orders").add_bulk(range(3))

    await namespace.create(queuejob("orders"))

    body = await ready(namespace, "orders", "DeploymentNotOurs")
    assert f"Deployment {namespace.name}/orders exists" in condition(body)["message"]
    now = await namespace.get("Deployment", "orders")
    assert now["metadata"]["generation"] == theirs["metadata"]["generation"]
    assert {field["manager"] for field in now["metadata"]["managedFields"]}.isdisjoint(
        {"bullherd", "bullherd-scaling"}
    )

    await namespace.delete("Deployment", "orders")
    await ready(namespace, "orders")
    await replicas(namespace, "orders", 3)


async def test_a_label_does_not_make_a_strangers_deployment_ours(
    namespace: Namespace, operator: Operator
) -> None:
    theirs = stranger("orders")
    theirs["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "bullherd"}
    await namespace.create(theirs)
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders", "DeploymentNotOurs")
    now = await namespace.get("Deployment", "orders")
    assert now["metadata"]["generation"] == 1
