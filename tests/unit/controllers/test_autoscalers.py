"""An HPA's life beside its QueueJob, and replicas that only idle pods make room for. Needs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.core.busy import QueueHolders
from bullherd.core.engine import ExternalMetrics, MetricsOwner
from bullherd.core.hold import HOLD_ANNOTATION
from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.kube.autoscalers import AUTOSCALERS
from bullherd.kube.client import Body, KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.pods import PODS
from bullherd.kube.queuejobs import QUEUEJOBS
from tests.unit.builders import body
from tests.unit.controllers.cluster import KEY, Cluster

HPA = {"engine": "HPA", "cooldownSeconds": 60}


@pytest.fixture
async def cluster(cluster: Cluster) -> Cluster:
    """Our server serves the metrics, and a QueueJob has three workers, by its HPA."""
    cluster.served_by = MetricsOwner.OURS
    cluster.external_metrics.seen = ExternalMetrics(MetricsOwner.OURS)
    cluster.put(scaling=HPA)
    cluster.redis.shows(waiting=3)
    await cluster.turn()
    return cluster


def bounds(cluster: Cluster) -> tuple[int, int]:
    spec = cluster.api.look(AUTOSCALERS, *KEY)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def has_autoscaler(cluster: Cluster) -> bool:
    return bool(cluster.api.all("horizontalpodautoscalers"))


def hpa_scales(cluster: Cluster, replicas: int) -> None:
    """As the HPA's controller does through the scale subresource."""
    deployment = cluster.api.look(DEPLOYMENTS, *KEY)
    deployment["spec"]["replicas"] = replicas
    cluster.api.put(DEPLOYMENTS, deployment)


def pods(cluster: Cluster, *names: str) -> None:
    for name in names:
        metadata = {"namespace": "shop", "name": name, "uid": name, "labels": {QUEUEJOB_LABEL: "emails"}}
        conditions = [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]
        cluster.api.put(PODS, {"metadata": metadata, "spec": {"nodeName": "n"},
                               "status": {"phase": "Running", "conditions": conditions}})  # fmt: skip


def costs(cluster: Cluster) -> dict[str, str | None]:
    annotation = "controller.kubernetes.io/pod-deletion-cost"
    return {
        pod["metadata"]["name"]: pod["metadata"].get("annotations", {}).get(annotation)
        for pod in cluster.api.all("pods")
    }


async def test_it_is_made_with_the_workers_and_then_left_alone(cluster: Cluster) -> None:
    assert cluster.replicas() == 3
    assert bounds(cluster) == (1, 10)
    for _ in range(20):
        await cluster.turn(after=1)
    assert cluster.api.count("APPLY", "horizontalpodautoscalers") == 1
    assert cluster.condition("AutoscalerActive")[:2] == ("True", "Scaling")


async def test_growth_is_its_own_and_is_told(cluster: Cluster) -> None:
    cluster.redis.shows(waiting=7)
    await cluster.turn()
    assert cluster.replicas() == 3
    hpa_scales(cluster, 7)
    await cluster.turn()
    status = cluster.api.look(QUEUEJOBS, *KEY)["status"]["scaling"]
    assert status["engine"] == "HPA"
    assert (status["changes"][0]["from"], status["changes"][0]["to"]) == (3, 7)
    assert "backlog 7" in status["changes"][0]["reason"]
    assert cluster.events()[-1] == "ScaledUp"


async def test_to_none_and_back_are_not_the_hpas(cluster: Cluster) -> None:
    cluster.redis.shows()
    await cluster.turn()
    await cluster.turn(after=60)
    assert cluster.replicas() == 0
    cluster.redis.shows(waiting=8)
    await cluster.turn()
    assert cluster.replicas() == 8


async def test_it_may_shrink_only_when_busy_pods_are_marked(cluster: Cluster) -> None:
    pods(cluster, "a", "b", "c")
    cluster.redis.held["emails"] = QueueHolders({"b": 1})
    cluster.redis.shows(active=1)
    await cluster.turn()
    assert bounds(cluster) == (3, 10)
    assert costs(cluster) == {"a": None, "b": None, "c": None}

    assert await cluster.turn(after=60) == 1.0
    assert bounds(cluster) == (1, 10)
    assert costs(cluster)["b"] == "2"

    # While the HPA has not acted, an idle pod may begin to work.
    cluster.redis.held["emails"] = QueueHolders({"b": 1, "c": 1})
    cluster.redis.shows(active=2)
    await cluster.turn(after=1)
    assert bounds(cluster) == (2, 10)
    assert costs(cluster)["c"] == "2"


async def test_while_nobody_can_say_who_is_busy_nothing_shrinks(cluster: Cluster) -> None:
    cluster.redis.shows(active=1)
    await cluster.turn()
    cluster.api.refuses = lambda method, plural, body: (
        KubernetesError(403, "pods is forbidden") if plural == "pods" else None
    )
    assert await cluster.turn(after=60) == 1.0
    assert bounds(cluster) == (3, 10)
    assert "3 kept until it is known which pods are busy" in reason(cluster)


def reason(cluster: Cluster) -> str:
    told: str = cluster.api.look(QUEUEJOBS, *KEY)["status"]["scaling"]["reason"]
    return told


async def test_with_the_engine_direct_busy_pods_are_marked_before_replicas_go(cluster: Cluster) -> None:
    order: list[str] = []

    def watching(method: str, plural: str, body: Body) -> KubernetesError | None:
        if method in ("PATCH", "APPLY") and plural in ("pods", "deployments"):
            order.append(plural)
        return None

    cluster.put(scaling={**HPA, "engine": "Direct"}, generation=2, version=90)
    pods(cluster, "a", "b", "c")
    cluster.redis.held["emails"] = QueueHolders({"b": 1, "a": 1})
    cluster.redis.shows(active=2)
    await cluster.turn()
    cluster.api.refuses = watching
    await cluster.turn(after=60)
    assert cluster.replicas() == 2
    assert order == ["pods", "pods", "deployments"]
    assert costs(cluster) == {"a": "2", "b": "2", "c": None}


async def test_it_goes_with_the_engine_and_comes_back(cluster: Cluster) -> None:
    cluster.put(scaling={**HPA, "engine": "Direct"}, generation=2, version=90)
    await cluster.turn()
    assert not has_autoscaler(cluster)
    assert cluster.replicas() == 3
    cluster.put(scaling=HPA, generation=3, version=91)
    await cluster.turn()
    assert has_autoscaler(cluster)
    assert cluster.replicas() == 3


async def test_it_goes_when_somebody_else_serves_the_metrics(cluster: Cluster) -> None:
    cluster.external_metrics.seen = ExternalMetrics(MetricsOwner.STRANGER, "It leads to keda.")
    cluster.redis.shows(waiting=8)
    await cluster.turn()
    assert not has_autoscaler(cluster)
    assert cluster.replicas() == 8
    assert cluster.condition("AutoscalerActive")[:2] == ("False", "ExternalMetricsNotOurs")
    assert cluster.ready() == ("True", "Scaling")


async def test_one_that_gets_no_metrics_stays_and_the_operator_scales(cluster: Cluster) -> None:
    autoscaler = cluster.api.look(AUTOSCALERS, *KEY)
    failing = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetExternalMetric",
        "message": "503",
    }
    autoscaler["status"] = {"conditions": [failing]}
    cluster.api.put(AUTOSCALERS, autoscaler)
    cluster.redis.shows(waiting=8)
    await cluster.turn()
    assert has_autoscaler(cluster)
    assert cluster.replicas() == 8


async def test_one_that_is_refused_is_told_and_tried_again(cluster: Cluster) -> None:
    cluster.api.refuses = lambda method, plural, body: (
        KubernetesError(422, "spec.behavior: Invalid value")
        if (method, plural) == ("APPLY", "horizontalpodautoscalers")
        else None
    )
    bad: dict[str, Any] = {**HPA, "behavior": {"scaleUp": {"policies": []}}}
    cluster.put(scaling=bad, generation=2, version=90)
    cluster.redis.shows(waiting=8)
    for second in range(31):
        await cluster.turn(after=1 if second else 0)
    assert cluster.condition("AutoscalerActive")[:2] == ("False", "AutoscalerRejected")
    assert "spec.behavior: Invalid value" in cluster.condition("AutoscalerActive")[2]
    assert cluster.api.count("APPLY", "horizontalpodautoscalers") == 3
    assert cluster.ready() == ("True", "Scaling")

    cluster.api.refuses = lambda *_: None
    await cluster.turn(after=30)
    assert cluster.condition("AutoscalerActive")[:2] == ("True", "Scaling")


async def test_a_strangers_of_the_same_name_is_left_alone(cluster: Cluster) -> None:
    other = {"metadata": {"namespace": "shop", "name": "other", "uid": "uid-x"},
             "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5}}  # fmt: skip
    cluster.api.put(AUTOSCALERS, other)
    cluster.put("other", queue="other", scaling=HPA)
    await cluster.turn(("shop", "other"))
    assert cluster.api.look(AUTOSCALERS, "shop", "other")["spec"]["maxReplicas"] == 5
    assert cluster.condition("AutoscalerActive", "other")[:2] == ("False", "AutoscalerNotOurs")


async def test_replicas_that_are_held_by_hand_have_no_hpa(cluster: Cluster) -> None:
    held = body(scaling=HPA, version=90)
    held["metadata"]["annotations"] = {HOLD_ANNOTATION: "2027-01-15T08:05:00Z"}
    cluster.api.put(QUEUEJOBS, held)
    assert cluster.woken[-1] == KEY
    hpa_scales(cluster, 6)
    await cluster.turn()
    assert not has_autoscaler(cluster)
    assert cluster.replicas() == 6
    assert "not by Bullherd" not in reason(cluster)
    assert await cluster.turn(after=299) == 1.0
    await cluster.turn(after=1)
    assert has_autoscaler(cluster)
    assert bounds(cluster) == (6, 10)


async def test_a_new_leader_finds_all_as_it_is(cluster: Cluster) -> None:
    cluster.redis.shows(active=1)
    await cluster.turn()
    before = cluster.api.count("APPLY", "horizontalpodautoscalers")
    cluster.restart()
    await cluster.connections.reload()
    await cluster.turn(after=1)
    assert bounds(cluster) == (3, 10)
    # One more for the refresh that every new leader begins with.
    assert cluster.api.count("APPLY", "horizontalpodautoscalers") == before + 1
