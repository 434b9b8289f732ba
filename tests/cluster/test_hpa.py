"""Autoscaling by a real HPA on the metrics that a real ``bullherd server`` serves through the API server.

Kubernetes' controller looks at an HPA every 15 s, and the tests wait for it. Needs the cluster, redis-server,
and Node with bullmq.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import PAUSING, condition, queuejob, ready, reasons, replicas, steps
from tests.fixtures.external_metrics import ExternalMetricsApi
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import SERVICE, Server, StartServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node, pytest.mark.timeout(300)]

SYNC_LIMIT_S = 60.0
"""An HPA that is new, or that has failed, is looked at in the controller's own time."""


def hpa(name: str = "orders", **scaling: object) -> Body:
    """A QueueJob that asks for an HPA; its pods are cheap and run."""
    return queuejob(name, engine="HPA", template=PAUSING, **{"cooldownSeconds": 300, **scaling})


@pytest.fixture
async def operator(
    start_operator: StartOperator, connections: Connections, redis_server: RedisServer
) -> Operator:
    """One that knows of the server; its connection "default" is the test's Redis, as is the server's."""
    connections.write("default", redis_server.endpoint)
    return await start_operator(METRICS_SERVICE=SERVICE)


async def active(namespace: Namespace, name: str = "orders") -> None:
    """Wait until the HPA has read its metric and the QueueJob says so."""
    await namespace.until("HorizontalPodAutoscaler", name, _reads_its_metric, SYNC_LIMIT_S)
    await namespace.until(
        "QueueJob", name, lambda body: condition(body, "AutoscalerActive").get("status") == "True"
    )


def _reads_its_metric(body: Body) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("ScalingActive", "True") for one in conditions)


def _engine(body: Body) -> str | None:
    engine: str | None = body.get("status", {}).get("scaling", {}).get("engine")
    return engine


async def test_an_hpa_follows_the_backlog_from_one_upward(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await namespace.create(hpa(cooldownSeconds=2, itemsPerReplica=2))
    await ready(namespace, "orders")
    assert steps(namespace, "orders") == [0]

    # From 0 in one step, and that without waiting for an HPA.
    await queue.add_bulk(range(6))
    await replicas(namespace, "orders", 3)
    await active(namespace)

    await queue.add_bulk(range(12))
    await replicas(namespace, "orders", 9, SYNC_LIMIT_S)
    assert steps(namespace, "orders") == [0, 3, 9]
    autoscaler = await namespace.get("HorizontalPodAutoscaler", "orders")
    (metric,) = autoscaler["status"]["currentMetrics"]
    assert metric["external"]["current"]["averageValue"] in ("2", "6")
    body = await namespace.until(
        "QueueJob", "orders", lambda body: len(body["status"]["scaling"]["changes"]) == 2
    )
    assert _engine(body) == "HPA"
    assert body["status"]["scaling"]["changes"][0] | {"time": ""} == {
        "time": "",
        "from": 3,
        "to": 9,
        "reason": "backlog 18 at 2 per replica",
    }

    await queue.call("drain")
    await replicas(namespace, "orders", 0, SYNC_LIMIT_S)
    assert steps(namespace, "orders") == [0, 3, 9, 0]


async def test_an_hpa_is_held_while_the_queue_may_want_its_replicas_back(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(5))
    await namespace.create(hpa(scaleDownDelaySeconds=20))
    await replicas(namespace, "orders", 5)
    await active(namespace)
    first = (await queue.items("wait"))[:3]
    less_since = time.time()
    for item in first:
        await queue.on_item(item.id, "remove")

    await namespace.until("HorizontalPodAutoscaler", "orders", lambda body: body["spec"]["minReplicas"] == 5)
    await replicas(namespace, "orders", 2, SYNC_LIMIT_S)
    assert namespace.history("Deployment", "orders")[-1].at - less_since >= 20
    assert steps(namespace, "orders")[-2:] == [5, 2]


async def test_an_hpa_never_goes_below_busy_pods(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(18))
    await namespace.create(hpa(scaleDownDelaySeconds=0, itemsPerReplica=3, concurrency=3))
    await replicas(namespace, "orders", 6)
    await active(namespace)
    worker = await queue.worker(concurrency=3, hold=True)
    await worker.started(3)

    await queue.call("drain")

    # Nobody can tell which pods hold the three items of the test's worker: any three may.
    await replicas(namespace, "orders", 3, SYNC_LIMIT_S)
    autoscaler = await namespace.get("HorizontalPodAutoscaler", "orders")
    assert autoscaler["spec"]["minReplicas"] == 3


async def test_changing_the_engine_under_load_changes_no_replicas(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(4))
    await namespace.create(hpa())
    await replicas(namespace, "orders", 4)
    await active(namespace)

    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"engine": "Direct"}}})
    await namespace.gone("HorizontalPodAutoscaler", "orders")
    await namespace.until("QueueJob", "orders", lambda body: _engine(body) == "Direct")
    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"engine": "HPA"}}})
    await active(namespace)
    assert steps(namespace, "orders") in ([4], [0, 4])


async def test_the_metrics_of_a_stranger_are_not_used(
    namespace: Namespace,
    external_metrics_api: ExternalMetricsApi,
    start_server: StartServer,
    operator: Operator,
    bullmq_node_6: BullmqNode,
) -> None:
    await external_metrics_api.belongs_to(namespace.api, "keda", "keda-operator-metrics-apiserver")
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(hpa())
    await replicas(namespace, "orders", 3)

    body = await namespace.until("QueueJob", "orders", _is_not_ours, 30)
    message = condition(body, "AutoscalerActive")["message"]
    assert "keda/keda-operator-metrics-apiserver" in message
    assert "scales by itself" in message
    assert condition(body)["status"] == "True"
    await namespace.when(lambda: "ExternalMetricsNotOurs" in reasons(namespace, "orders"))
    assert namespace.all("HorizontalPodAutoscaler") == []
    await queue.add_bulk(range(4))
    await replicas(namespace, "orders", 7)

    external_metrics_api.remove()
    await external_metrics_api.lead_to(namespace, await start_server())
    await active(namespace)
    assert steps(namespace, "orders")[-2:] == [3, 7]


def _is_not_ours(body: Body) -> bool:
    return condition(body, "AutoscalerActive").get("reason") == "ExternalMetricsNotOurs"


async def test_a_server_that_dies_under_an_hpa_stops_nothing(
    namespace: Namespace,
    external_metrics_api: ExternalMetricsApi,
    external_metrics: Server,
    start_server: StartServer,
    operator: Operator,
    bullmq_node_6: BullmqNode,
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(hpa())
    await replicas(namespace, "orders", 3)
    await active(namespace)

    external_metrics.kill()
    body = await namespace.until("QueueJob", "orders", _is_without_metrics, SYNC_LIMIT_S)
    assert _engine(body) == "Direct"
    await queue.add_bulk(range(3))
    await replicas(namespace, "orders", 6)

    await external_metrics_api.lead_to(namespace, await start_server())
    await active(namespace)
    assert steps(namespace, "orders")[-2:] == [3, 6]


def _is_without_metrics(body: Body) -> bool:
    return condition(body, "AutoscalerActive").get("reason") == "MetricsUnavailable"


async def test_a_redis_that_is_away_holds_the_replicas_and_comes_back(
    namespace: Namespace,
    external_metrics_api: ExternalMetricsApi,
    start_server: StartServer,
    operator: Operator,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    await external_metrics_api.install(namespace)
    await external_metrics_api.lead_to(namespace, await start_server(STALE_AFTER_SECONDS="15"))
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(4))
    await namespace.create(hpa(cooldownSeconds=0))
    await replicas(namespace, "orders", 4)
    await active(namespace)

    redis_server.freeze()
    await ready(namespace, "orders", "QueueUnreadable", 30)
    # The server has given no value for so long that the HPA has failed to get one.
    await namespace.until("HorizontalPodAutoscaler", "orders", lambda body: not _reads_its_metric(body), 90)
    assert steps(namespace, "orders")[-1] == 4
    redis_server.thaw()

    await ready(namespace, "orders", limit=30)
    await active(namespace)
    await queue.add_bulk(range(3))
    await replicas(namespace, "orders", 7, SYNC_LIMIT_S)
    assert steps(namespace, "orders")[-2:] == [4, 7]


async def test_what_a_user_says_about_the_hpa_is_obeyed(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    """One more metric asks for more than the backlog does, and may have two more every fifteen seconds."""
    selector = {"matchLabels": {"queuejob": "orders"}}
    waiting = {"metric": {"name": "bullherd_queue_waiting", "selector": selector},
               "target": {"type": "AverageValue", "averageValue": "1"}}  # fmt: skip
    slowly = {"scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]}}
    await bullmq_node_6.queue("orders").add_bulk(range(7))
    await namespace.create(
        hpa(itemsPerReplica=4, extraMetrics=[{"type": "External", "external": waiting}], behavior=slowly)
    )
    await replicas(namespace, "orders", 2)
    await active(namespace)
    await replicas(namespace, "orders", 7, 120)
    assert steps(namespace, "orders")[-4:] == [2, 4, 6, 7]


async def test_an_hpa_that_is_refused_is_told_and_the_queue_is_worked(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(2))
    never = {"scaleDown": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}}
    await namespace.create(hpa(behavior=never))
    await replicas(namespace, "orders", 2)
    body = await namespace.until(
        "QueueJob",
        "orders",
        lambda body: condition(body, "AutoscalerActive").get("reason") == "AutoscalerRejected",
    )
    assert "spec.behavior.scaleDown.policies[0].value" in condition(body, "AutoscalerActive")["message"]
    await queue.add_bulk(range(3))
    await replicas(namespace, "orders", 5)
    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"behavior": None}}})
    await active(namespace)


async def test_an_hpa_that_was_there_before_is_taken_over(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}
    await namespace.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "orders"},
            "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3},
        }
    )
    await bullmq_node_6.queue("orders").add_bulk(range(5))
    created = await namespace.create(hpa())
    body = await namespace.until(
        "HorizontalPodAutoscaler", "orders", lambda body: body["spec"]["maxReplicas"] == 10
    )
    assert body["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
    assert body["spec"]["metrics"][0]["external"]["metric"]["name"] == "bullherd_queue_backlog"
    await replicas(namespace, "orders", 5)


async def test_an_hpa_of_another_owner_is_left_alone(
    namespace: Namespace, external_metrics: Server, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await namespace.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "orders"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 3},
        }
    )
    await bullmq_node_6.queue("orders").add_bulk(range(5))
    await namespace.create(hpa())
    await replicas(namespace, "orders", 5)
    body = await namespace.until(
        "QueueJob",
        "orders",
        lambda body: condition(body, "AutoscalerActive").get("reason") == "AutoscalerNotOurs",
    )
    assert "Deployment/web" in condition(body, "AutoscalerActive")["message"]
    assert (await namespace.get("HorizontalPodAutoscaler", "orders"))["spec"]["maxReplicas"] == 3


async def test_the_hpa_goes_with_the_queuejob(
    namespace: Namespace, external_metrics: Server, operator: Operator
) -> None:
    await namespace.create(hpa())
    await namespace.until("HorizontalPodAutoscaler", "orders", lambda body: True)
    await namespace.delete("QueueJob", "orders")
    await namespace.gone("HorizontalPodAutoscaler", "orders", SYNC_LIMIT_S)
