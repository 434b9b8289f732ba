"""The pods of a QueueJob's workers, as a ReplicaSet sees them when it chooses whom to delete; and what each
costs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bullherd.core.busy import PodCost, PodStage, WorkerPod
from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.pods import PODS

DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"


async def list_pods_to_choose_from(
    kubernetes: Kubernetes, namespace: str, queuejob: str
) -> tuple[WorkerPod, ...]:
    """All pods of a QueueJob, those that leave included."""
    listed = await kubernetes.list(PODS, namespace, labels={QUEUEJOB_LABEL: queuejob})
    return tuple(worker_pod(body) for body in listed["items"])


async def write_pod_cost(kubernetes: Kubernetes, namespace: str, pod: PodCost) -> None:
    """Say what it costs to delete a pod. One that is gone meanwhile needs no cost."""
    change = {"metadata": {"annotations": {DELETION_COST_ANNOTATION: str(pod.cost)}}}
    try:
        await kubernetes.patch(PODS, namespace, pod.name, change)
    except KubernetesError as error:
        if not error.missing:
            raise


def worker_pod(body: Mapping[str, Any]) -> WorkerPod:
    """A Pod object of the API as the core sees it."""
    metadata, status = body["metadata"], body.get("status") or {}
    owners = metadata.get("ownerReferences") or []
    return WorkerPod(
        name=metadata["name"],
        owner=next((owner["uid"] for owner in owners if owner.get("controller")), ""),
        stage=_stage_of(body.get("spec") or {}, status),
        # The API server lets nothing but a number stand here.
        deletion_cost=int((metadata.get("annotations") or {}).get(DELETION_COST_ANNOTATION, 0)),
        leaving="deletionTimestamp" in metadata or status.get("phase") in ("Succeeded", "Failed"),
    )


def _stage_of(spec: Mapping[str, Any], status: Mapping[str, Any]) -> PodStage:
    if not spec.get("nodeName"):
        return PodStage.UNSCHEDULED
    if status.get("phase") != "Running":
        return PodStage.PENDING
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or [])
    return PodStage.READY if ready else PodStage.NOT_READY
