"""Pods as a ReplicaSet sees them when it chooses, and their deletion costs. Needs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.core.busy import PodCost, PodStage, WorkerPod
from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.kube.client import KubernetesError
from bullherd.kube.pod_costs import (
    DELETION_COST_ANNOTATION,
    list_pods_to_choose_from,
    worker_pod,
    write_pod_cost,
)
from bullherd.kube.pods import PODS
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

NOW = "2026-11-24T04:00:00Z"
COSTS = {DELETION_COST_ANNOTATION: "-3"}
OWNERS = [{"uid": "a-friend"}, {"uid": "replicaset-1", "controller": True}]


def pod(
    name: str = "emails-1",
    phase: str = "Running",
    ready: str | None = "True",
    node: str = "node-1",
    queuejob: str = "emails",
    **metadata: Any,
) -> dict[str, Any]:
    labels = {QUEUEJOB_LABEL: queuejob}
    conditions = [{"type": "Initialized", "status": "True"}]
    conditions += [{"type": "Ready", "status": ready}] if ready else []
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels, **metadata},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions},
    }


ROWS = [
    ("is ready", pod(), WorkerPod("emails-1")),
    ("is not ready", pod(ready="False"), WorkerPod("emails-1", stage=PodStage.NOT_READY)),
    ("says nothing of it yet", pod(ready=None), WorkerPod("emails-1", stage=PodStage.NOT_READY)),
    ("starts", pod(phase="Pending", ready=None), WorkerPod("emails-1", stage=PodStage.PENDING)),
    ("has no node", pod(phase="Pending", node=""), WorkerPod("emails-1", stage=PodStage.UNSCHEDULED)),
    ("was just made", {"metadata": {"name": "a"}}, WorkerPod("a", stage=PodStage.UNSCHEDULED)),
    ("costs", pod(annotations=COSTS), WorkerPod("emails-1", deletion_cost=-3)),
    ("is owned", pod(ownerReferences=OWNERS), WorkerPod("emails-1", owner="replicaset-1")),
    ("is being deleted", pod(deletionTimestamp=NOW), WorkerPod("emails-1", leaving=True)),
    (
        "was evicted",
        pod(phase="Failed", ready="False"),
        WorkerPod("emails-1", stage=PodStage.PENDING, leaving=True),
    ),
]


@pytest.mark.parametrize(("name", "body", "seen"), ROWS, ids=[row[0] for row in ROWS])
def test_how_a_replicaset_sees_a_pod(name: str, body: dict[str, Any], seen: WorkerPod) -> None:
    assert worker_pod(body) == seen, name


async def test_all_pods_of_the_queuejob_are_listed() -> None:
    api = FakeKubernetes()
    api.put(PODS, pod("emails-1"))
    api.put(PODS, pod("emails-2", deletionTimestamp=NOW))
    api.put(PODS, pod("sms-1", queuejob="sms"))
    pods = await list_pods_to_choose_from(api, "shop", "emails")
    assert [(one.name, one.leaving) for one in pods] == [("emails-1", False), ("emails-2", True)]


async def test_a_cost_is_written_beside_what_else_a_pod_says() -> None:
    api = FakeKubernetes()
    api.put(PODS, pod(annotations={"team": "web"}))
    await write_pod_cost(api, "shop", PodCost("emails-1", 1))
    metadata = api.look(PODS, "shop", "emails-1")["metadata"]
    assert metadata["annotations"] == {"team": "web", DELETION_COST_ANNOTATION: "1"}
    assert metadata["labels"] == {QUEUEJOB_LABEL: "emails"}


async def test_a_pod_that_is_gone_needs_no_cost_but_a_refusal_is_told() -> None:
    api = FakeKubernetes()
    await write_pod_cost(api, "shop", PodCost("emails-1", 1))
    api.refuses = lambda *_: KubernetesError(403, "pods is forbidden")
    with pytest.raises(KubernetesError, match="forbidden"):
        await write_pod_cost(api, "shop", PodCost("emails-1", 1))
