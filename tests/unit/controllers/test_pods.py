"""Worker pods that do not come: when they are looked at, and what is told. Needs nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.kube.client import KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.pods import PODS
from tests.unit.controllers.cluster import KEY, Cluster

NO_IMAGE = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
BETWEEN_ENDS = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


@pytest.fixture
async def cluster(cluster: Cluster) -> Cluster:
    """Its workers were just scaled from 0 to 3, and none is ready yet."""
    cluster.put()
    cluster.redis.shows()
    await cluster.turn()
    cluster.redis.shows(waiting=3)
    await cluster.turn()
    tell_deployment(cluster, ready=0)
    return cluster


def tell_deployment(cluster: Cluster, ready: int) -> None:
    deployment = cluster.api.look(DEPLOYMENTS, *KEY)
    available = "True" if ready == deployment["spec"]["replicas"] else "False"
    before = deployment.get("status", {}).get("conditions", [{}])[0]
    since = before["lastTransitionTime"] if before.get("status") == available else stamp(cluster.now)
    condition = {"type": "Available", "status": available, "lastTransitionTime": since}
    deployment["status"] = {"replicas": 3, "readyReplicas": ready, "conditions": [condition]}
    cluster.api.put(DEPLOYMENTS, deployment)


def tell_pods(cluster: Cluster, count: int = 3, **container: Any) -> None:
    for number in range(count):
        status = {"name": "worker", "ready": False, "restartCount": 0, "state": {}} | container
        conditions = [{"type": "Ready", "status": "True" if status["ready"] else "False"}]
        pod = {
            "metadata": {
                "namespace": "shop",
                "name": f"emails-{number}",
                "labels": {QUEUEJOB_LABEL: "emails"},
            },
            "status": {"phase": "Running", "containerStatuses": [status], "conditions": conditions},
        }
        cluster.api.put(PODS, pod)


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def looks(cluster: Cluster) -> int:
    return cluster.api.count("LIST", "pods")


async def test_they_are_given_a_while_and_then_told_and_heal(cluster: Cluster) -> None:
    tell_pods(cluster, state=NO_IMAGE)
    assert await cluster.turn() == 15
    assert await cluster.turn(after=14) == 1
    assert cluster.ready() == ("True", "Scaling")
    assert looks(cluster) == 0

    assert await cluster.turn(after=1) == 10
    assert cluster.ready() == ("False", "PodsNotStarting")
    assert cluster.message().startswith("No worker pod is ready; 3 of 3: ErrImagePull: not found. ")
    assert cluster.events()[-1] == "PodsNotStarting"

    tell_pods(cluster, ready=True)
    tell_deployment(cluster, ready=1)
    await cluster.turn(after=10)
    assert cluster.ready() == ("True", "Scaling")


async def test_they_are_looked_at_every_ten_seconds_however_often_the_queue_changes(cluster: Cluster) -> None:
    tell_pods(cluster, state=NO_IMAGE)
    await cluster.turn(after=15)
    for second in range(1, 61):
        cluster.redis.shows(waiting=3, completed=second)
        await cluster.turn(after=1)
    assert looks(cluster) == 7


async def test_well_ones_are_not_looked_at(cluster: Cluster) -> None:
    tell_deployment(cluster, ready=3)
    for _ in range(10):
        await cluster.turn(after=100)
    assert looks(cluster) == 0


async def test_one_that_is_ready_is_enough(cluster: Cluster) -> None:
    tell_pods(cluster, count=1, ready=True)
    tell_deployment(cluster, ready=1)
    await cluster.turn()
    await cluster.turn(after=100)
    assert cluster.ready() == ("True", "Scaling")
    assert looks(cluster) == 1


async def test_some_that_find_no_node_are_told_and_no_more_are_asked_for(cluster: Cluster) -> None:
    tell_pods(cluster, count=1, ready=True)
    homeless = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    for number in (1, 2):
        metadata = {"namespace": "shop", "name": f"emails-{number}", "labels": {QUEUEJOB_LABEL: "emails"}}
        status = {"phase": "Pending", "conditions": [homeless]}
        cluster.api.put(PODS, {"metadata": metadata, "status": status})
    tell_deployment(cluster, ready=1)
    await cluster.turn()
    cluster.redis.shows(waiting=8)
    await cluster.turn(after=15)
    assert cluster.replicas() == 3
    assert cluster.condition("ScalingLimited")[:2] == ("True", "Unschedulable")
    assert "2 of 3 worker pods find no node" in cluster.condition("ScalingLimited")[2]

    tell_pods(cluster, ready=True)
    tell_deployment(cluster, ready=3)
    await cluster.turn(after=1)
    assert cluster.replicas() == 8
    assert cluster.condition("ScalingLimited")[:2] == ("False", "NotLimited")


async def test_those_that_nobody_wants_any_more_are_no_trouble(cluster: Cluster) -> None:
    tell_pods(cluster, state=NO_IMAGE)
    await cluster.turn(after=15)
    cluster.redis.shows()
    await cluster.turn(after=1)
    await cluster.turn(after=60)
    assert cluster.replicas() == 0
    await cluster.turn(after=1)
    assert cluster.ready() == ("True", "Scaling")


async def test_a_container_that_ends_at_once_is_not_well_in_between(cluster: Cluster) -> None:
    tell_pods(cluster, state=BETWEEN_ENDS, lastState=ENDED, restartCount=3)
    await cluster.turn(after=15)
    assert "ended with exit code 1" in cluster.message()

    running = {"running": {"startedAt": stamp(cluster.now + 9)}}
    tell_pods(cluster, state=running, lastState=ENDED, restartCount=4, ready=True)
    tell_deployment(cluster, ready=3)
    await cluster.turn(after=10)
    assert cluster.ready() == ("False", "PodsNotStarting")

    await cluster.turn(after=15)
    assert cluster.ready() == ("True", "Scaling")
    assert cluster.events().count("PodsNotStarting") == 1


async def test_a_new_leader_says_the_same(cluster: Cluster) -> None:
    tell_pods(cluster, state=NO_IMAGE)
    await cluster.turn(after=15)
    cluster.restart()
    await cluster.connections.reload()
    await cluster.turn(after=1)
    assert cluster.ready() == ("False", "PodsNotStarting")
    assert cluster.events().count("PodsNotStarting") == 1


async def test_without_the_right_to_look_scaling_goes_on(cluster: Cluster) -> None:
    cluster.api.refuses = lambda method, plural, body: (
        KubernetesError(403, "pods is forbidden") if plural == "pods" else None
    )
    cluster.redis.shows(waiting=5)
    assert await cluster.turn(after=15) == 10
    assert cluster.replicas() == 5
    assert cluster.ready() == ("True", "Scaling")
