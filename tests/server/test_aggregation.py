"""Through the real API server, to kubectl and to HPAs that people write. Needs the cluster, redis-server and
Node with bullmq.
"""

from __future__ import annotations

import json
import os
import re

import pytest
import yaml

from dev.node.layout import Layout
from dev.paths import this_checkout
from tests.cluster.kubectl import Kubectl
from tests.cluster.queuejobs import PAUSING, queuejob
from tests.fixtures.cluster import RunningCluster
from tests.fixtures.external_metrics import ExternalMetricsApi
from tests.fixtures.kubernetes import ROOT, Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import Server, StartServer, metric_path
from tests.server.asking import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

PAGE = (ROOT / "docs" / "external-metrics.md").read_text()
HPA = "HorizontalPodAutoscaler"
SYNC_LIMIT_S = 50.0
"""For what an HPA does: it looks every 15 s."""


def blocks(language: str) -> list[str]:
    """The page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.M | re.S)


def deployment(name: str) -> Body:
    """A Deployment of somebody's own."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, **PAUSING}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def current(hpa: Body) -> tuple[str | None, str | None]:
    """What an HPA says it sees: the average per pod, and the reason why it cannot scale, if it cannot."""
    status = hpa.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    metrics = status.get("currentMetrics") or [{}]
    active = conditions.get("ScalingActive", {})
    problem = active.get("message") if active.get("status") == "False" else None
    return (metrics[0].get("external") or {}).get("current", {}).get("averageValue"), problem


async def sees(namespace: Namespace, average: str, replicas: int) -> None:
    """Wait until the HPA of the example sees this and has asked for so many replicas."""
    await namespace.until(HPA, "pdf-renderer", lambda hpa: current(hpa)[0] == average, SYNC_LIMIT_S)
    await namespace.until(
        "Deployment", "pdf-renderer", lambda body: bool(body["spec"]["replicas"] == replicas), SYNC_LIMIT_S
    )


async def test_an_hpa_that_somebody_wrote(
    namespace: Namespace,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    external_metrics: Server,
    external_metrics_api: ExternalMetricsApi,
    start_server: StartServer,
) -> None:
    """The page's example, over the life of a queue, of a Redis and of the server."""
    connections.write("default", redis_server.endpoint)
    await external_metrics.event("connections_read")
    await namespace.create(queuejob("invoices"))
    await namespace.create(deployment("pdf-renderer"))
    queue = bullmq_node_6.queue("invoices")
    await queue.add_bulk(range(12))
    worker = await queue.worker(concurrency=12, hold=True)
    await worker.started(12)

    example, _ = blocks("yaml")
    await namespace.create(yaml.safe_load(example))
    await sees(namespace, "4", replicas=3)

    # Its server goes, and another one comes.
    await external_metrics.stop()
    hpa = await namespace.until(HPA, "pdf-renderer", lambda body: current(body)[1] is not None, SYNC_LIMIT_S)
    assert "unable to fetch metrics from external metrics API" in (current(hpa)[1] or "")
    successor = await start_server()
    await external_metrics_api.lead_to(namespace, successor)
    await namespace.until(HPA, "pdf-renderer", lambda body: current(body)[1] is None, SYNC_LIMIT_S)
    asked = {version.body["spec"]["replicas"] for version in namespace.history("Deployment", "pdf-renderer")}
    assert asked == {1, 3}


async def test_kubectl(
    cluster: RunningCluster,
    namespace: Namespace,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    external_metrics: Server,
) -> None:
    connections.write("default", redis_server.endpoint)
    await external_metrics.event("connections_read")
    kubectl = Kubectl(cluster.kubeconfig)
    await namespace.create(queuejob("invoices"))
    await bullmq_node_6.queue("invoices").add_bulk(range(3))
    path = metric_path(namespace.name, "bullherd_queue_waiting", "queuejob=invoices")
    reader = await Reader.of(namespace)
    await reader.until_values(external_metrics, {"invoices": 3}, metric="bullherd_queue_waiting")
    assert json.loads(kubectl("get", "--raw", path))["items"][0]["value"] == "3"

    names = kubectl("api-resources", "--api-group=external.metrics.k8s.io", "-o", "name").split()
    assert "bullherd_queue_backlog.external.metrics.k8s.io" in names
    assert len(names) == 5
    shown = kubectl.refused("get", "--raw", metric_path(namespace.name, "no_such_metric"))
    assert "In each namespace there are bullherd_queue_backlog" in shown


async def test_rights_of_whom_the_api_server_names(
    cluster: RunningCluster, namespace: Namespace, external_metrics: Server
) -> None:
    """The API server tells our server who asks, with groups; so people need just the page's Role."""
    kubectl = Kubectl(cluster.kubeconfig)
    path = metric_path(namespace.name, "bullherd_queue_backlog")
    _, role = blocks("yaml")
    kubectl("create", "-n", namespace.name, "-f", "-", stdin=role)
    grant = ("--role=queue-metrics-reader", "--group=accountants", "-n", namespace.name)
    kubectl("create", "rolebinding", "accountants", *grant)
    asks = ("get", "--raw", path, "--as=ann")
    assert json.loads(kubectl(*asks, "--as-group=accountants"))["items"] == []
    assert "Forbidden" in kubectl.refused(*asks, "--as-group=cooks")
    another = ("get", "--raw", metric_path(namespace.name, "bullherd_queue_waiting"), "--as=ann")
    assert "Forbidden" in kubectl.refused(*another, "--as-group=accountants")


async def test_the_api_server_has_nothing_to_complain_of(
    cluster: RunningCluster, namespace: Namespace, external_metrics: Server
) -> None:
    """It asks for discovery and OpenAPI by itself, and looks whether the server is there."""
    if cluster.kind != "local":
        pytest.skip("only the local node's log lies here")
    log = Layout(this_checkout()).logs / "kube-apiserver.log"
    with log.open() as lines:
        lines.seek(0, os.SEEK_END)
        # The two forms of OpenAPI, which it asks for a second after it has heard of the APIService.
        requests = "bullherd_server_requests_total"
        await external_metrics.metric(requests, lambda count: count >= 2, metric="other", code="200")
        said = lines.readlines()
    assert [line for line in said if "external.metrics" in line and line[0] in "EW"] == []
    series = await external_metrics.metrics(requests)
    assert {dict(labels)["code"] for labels in series} == {"200"}
    assert any(dict(labels)["metric"] == "discovery" for labels in series)
