"""Templates that the API server refuses, pods that it refuses, and QueueJobs that Bullherd itself cannot use.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from bullherd.controllers.budget import Budgets
from bullherd.controllers.connections import Connections as OperatorConnections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.external_metrics import ExternalMetricsLook
from bullherd.controllers.queuejobs import QueueJobReconciler
from bullherd.controllers.registry import Registry
from bullherd.controllers.server_watch import WatchIntervals
from bullherd.controllers.statuses import StatusWriter
from bullherd.core.budget import Limits
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics
from tests.cluster.queuejobs import UNSCHEDULABLE, condition, queuejob, ready, reasons, replicas, steps
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


def template_with(**container: Any) -> Body:
    template = copy.deepcopy(UNSCHEDULABLE)
    template["spec"]["containers"][0].update(container)
    return template


REFUSED = template_with(resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}})


async def test_a_refused_template_is_told_in_the_api_servers_words_and_heals(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("broken").add_bulk(range(2))
    await namespace.create(queuejob("broken", template=REFUSED))
    await namespace.create(queuejob("orders"))

    body = await ready(namespace, "broken", "TemplateRejected")
    assert "must be less than or equal to memory limit" in condition(body)["message"]
    rejected = await operator.event("template_rejected", queuejob="broken")
    assert "memory limit" in rejected["reason"]
    assert namespace.current("Deployment", "broken") is None
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await replicas(namespace, "orders", 3)

    template = template_with(resources={"limits": None, "requests": None})
    await namespace.patch("QueueJob", "broken", {"spec": {"template": template}})

    await replicas(namespace, "broken", 2)
    await ready(namespace, "broken")


async def test_what_runs_stays_and_scales_when_a_changed_template_is_refused(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 2)
    before = await namespace.get("Deployment", "orders")

    await namespace.patch("QueueJob", "orders", {"spec": {"template": REFUSED}})

    await ready(namespace, "orders", "TemplateRejected")
    await queue.add_bulk(range(3))
    after = await replicas(namespace, "orders", 5)
    assert after["spec"]["template"] == before["spec"]["template"]
    await namespace.when(lambda: "TemplateRejected" in reasons(namespace, "orders"))
    assert reasons(namespace, "orders").count("TemplateRejected") == 1


async def test_pods_that_are_refused_are_told(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    """Pod Security judges pods, not Deployments: the dry run passes, and then nothing starts."""
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    path = f"/api/v1/namespaces/{namespace.name}"
    await namespace.api.request("PATCH", path, label, "application/merge-patch+json")
    await bullmq_node_6.queue("orders").add_bulk(range(2))

    await namespace.create(queuejob("orders"))

    body = await ready(namespace, "orders", "PodsNotStarting")
    assert 'violates PodSecurity "restricted' in condition(body)["message"]


async def test_a_queuejob_that_bullherd_cannot_use(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode, tmp_path: Path
) -> None:
    """The CRD lets none through, so the reconciler is fed the body that an older CRD would have stored."""
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 2)
    stored = await ready(namespace, "orders")
    await operator.stop()
    old = copy.deepcopy(stored)
    old["spec"]["scaling"] |= {"minReplicas": 9, "maxReplicas": 3}
    old["spec"]["queue"]["name"] = "two words"

    kubernetes = namespace.api.as_operator
    metrics = OperatorMetrics()
    registry = Registry(lambda key: None)
    intervals = WatchIntervals(1.0, 30.0, 1)
    async with DemandWatch(lambda key: None, intervals, Health(), metrics) as demand:
        reconciler = QueueJobReconciler(
            kubernetes,
            registry,
            OperatorConnections(kubernetes, tmp_path),
            demand,
            StatusWriter(kubernetes, metrics),
            ExternalMetricsLook(kubernetes, namespace.name, "", lambda: None),
            Budgets(Limits(), lambda key: None),
            metrics,
            "",
        )
        registry.put_job(old)
        await reconciler.reconcile((namespace.name, "orders"))

    body = await ready(namespace, "orders", "Invalid")
    message = condition(body)["message"]
    assert "spec.scaling: minReplicas must not be above maxReplicas" in message
    assert "spec.queue.name: a queue's name is printable ASCII" in message
    assert body["status"]["backlog"] == 2  # the rest of the status stays
    assert steps(namespace, "orders")[-1] == 2
