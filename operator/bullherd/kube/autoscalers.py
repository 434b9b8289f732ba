"""HorizontalPodAutoscalers of QueueJobs: read into the core's state, applied from its manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bullherd.core.autoscaler import AutoscalerState
from bullherd.core.manifests import FINGERPRINT_ANNOTATION, Manifest
from bullherd.kube.client import Body, Kubernetes, KubernetesError, Resource
from bullherd.kube.deployments import TEMPLATE_MANAGER
from bullherd.kube.objects import controller_of

AUTOSCALERS = Resource("/apis/autoscaling/v2", "horizontalpodautoscalers")

_RESTS = "ScalingDisabled"
"""What an HPA says of itself while its target has 0 replicas."""


async def read_autoscaler(kubernetes: Kubernetes, namespace: str, name: str) -> Body | None:
    """The live HPA of that name, whoever made it; None when there is none."""
    return await kubernetes.find(AUTOSCALERS, namespace, name)


async def apply_autoscaler(kubernetes: Kubernetes, manifest: Manifest) -> Body:
    """Make the HPA, or bring it to the manifest."""
    return await kubernetes.apply(AUTOSCALERS, manifest, TEMPLATE_MANAGER)


async def delete_autoscaler(kubernetes: Kubernetes, namespace: str, name: str, uid: str) -> None:
    """Remove the HPA with this uid; another one of that name stays. It is no error if it is gone."""
    try:
        await kubernetes.delete(AUTOSCALERS, namespace, name, uid)
    except KubernetesError as error:
        if not (error.missing or error.conflict):
            raise


def autoscaler_state(body: Mapping[str, Any]) -> AutoscalerState:
    """An HPA object of the API as the core sees it."""
    metadata, target = body["metadata"], body["spec"]["scaleTargetRef"]
    conditions = (body.get("status") or {}).get("conditions") or []
    return AutoscalerState(
        uid=metadata["uid"],
        owner_uid=controller_of(body),
        fingerprint=(metadata.get("annotations") or {}).get(FINGERPRINT_ANNOTATION),
        target=f"{target['kind']}/{target['name']}",
        trouble=next(
            (
                f"{one.get('message') or one.get('reason')}"
                for one in conditions
                if one["status"] == "False"
                and one["type"] in ("AbleToScale", "ScalingActive")
                and one.get("reason") != _RESTS
            ),
            None,
        ),
        most=body["spec"]["maxReplicas"],
    )
