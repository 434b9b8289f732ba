"""A real ReplicaSet chooses as core/busy.py has it: by how far its pods have come, then by what they cost.

Needs the cluster. The pods are ready when the test says so, by a readiness gate.
"""

from __future__ import annotations

import asyncio

import pytest

from bullherd.core.busy import PodCost, PodStage, QueueHolders, busy_pods
from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.kube.pod_costs import list_pods_to_choose_from, write_pod_cost
from tests.fixtures.kubernetes import Body, Namespace

pytestmark = pytest.mark.cluster

GATE = "bullherd.dev/ready"
LABELS = {QUEUEJOB_LABEL: "orders"}
POD: Body = {
    "terminationGracePeriodSeconds": 1,
    "readinessGates": [{"conditionType": GATE}],
    "containers": [{"name": "worker", "image": "localhost/pause:1"}],
}


def deployment(replicas: int) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": POD},
        },
    }


def staying(namespace: Namespace) -> list[str]:
    return sorted(
        pod["metadata"]["name"]
        for pod in namespace.all("Pod")
        if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
    )


async def running(namespace: Namespace, count: int) -> list[str]:
    """The names of so many pods that run, none of them ready."""
    await namespace.create(deployment(count))
    await namespace.when(lambda: len(staying(namespace)) == count, 30)
    return staying(namespace)


async def make_ready(namespace: Namespace, *pods: str) -> None:
    status = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
    for pod in pods:
        path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/status"
        await namespace.api.request("PATCH", path, status, "application/strategic-merge-patch+json")
    for pod in pods:
        await namespace.until("Pod", pod, is_ready)


def is_ready(pod: Body) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


async def mark(namespace: Namespace, held: QueueHolders) -> int:
    """As the operator does it; the number of replicas down to which only idle pods go."""
    api = namespace.api.as_operator
    busy = busy_pods(await list_pods_to_choose_from(api, namespace.name, "orders"), held)
    await asyncio.gather(*(write_pod_cost(api, namespace.name, cost) for cost in busy.costs))
    return busy.count


async def scale(namespace: Namespace, replicas: int) -> list[str]:
    """Those that are left."""
    await namespace.patch("Deployment", "orders", {"spec": {"replicas": replicas}})
    await namespace.when(lambda: len(staying(namespace)) == replicas, 30)
    return staying(namespace)


async def test_idle_pods_go_before_busy_ones(namespace: Namespace) -> None:
    pods = await running(namespace, 6)
    await make_ready(namespace, *pods)
    count = await mark(namespace, QueueHolders({pods[1]: 2, pods[4]: 1}))
    assert count == 2
    assert await scale(namespace, count) == [pods[1], pods[4]]
    # Later others are busy.
    pods = [pods[4]]
    assert await mark(namespace, QueueHolders({pods[0]: 1})) == 1
    assert await scale(namespace, 1) == pods


async def test_perhaps_busy_pods_go_before_busy_ones(namespace: Namespace) -> None:
    pods = await running(namespace, 4)
    await make_ready(namespace, *pods)
    count = await mark(namespace, QueueHolders({pods[2]: 1}, unknown=1))
    assert count == 2
    assert pods[2] in await scale(namespace, count)


async def test_a_busy_pod_that_is_not_ready_would_go_first_and_so_holds_up_the_ready_ones(
    namespace: Namespace,
) -> None:
    pods = await running(namespace, 4)
    await make_ready(namespace, pods[0], pods[1])
    listed = await list_pods_to_choose_from(namespace.api.as_operator, namespace.name, "orders")
    assert {pod.name: pod.stage for pod in listed} == {
        pods[0]: PodStage.READY,
        pods[1]: PodStage.READY,
        pods[2]: PodStage.NOT_READY,
        pods[3]: PodStage.NOT_READY,
    }
    held = QueueHolders({pods[2]: 1})
    count = await mark(namespace, held)
    assert count == 3
    assert await scale(namespace, count) == pods[:3]
    assert await mark(namespace, held) == 3
    # What would have become of it: it costs most, and goes all the same.
    assert await scale(namespace, 2) == pods[:2]


async def test_a_cost_is_written_and_a_pod_that_is_gone_needs_none(namespace: Namespace) -> None:
    (pod,) = await running(namespace, 1)
    api = namespace.api.as_operator
    await write_pod_cost(api, namespace.name, PodCost(pod, 2))
    (listed,) = await list_pods_to_choose_from(api, namespace.name, "orders")
    assert (listed.deletion_cost, listed.leaving, bool(listed.owner)) == (2, False, True)
    await write_pod_cost(api, namespace.name, PodCost("gone", 2))
