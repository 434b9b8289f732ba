"""Worker Deployments: read into the core's state, applied from its manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from bullherd.core.deployment import served_queue
from bullherd.core.manifests import FINGERPRINT_ANNOTATION, Manifest
from bullherd.core.observed import DeploymentState
from bullherd.kube.client import Body, Kubernetes, Resource
from bullherd.kube.objects import controller_of

DEPLOYMENTS = Resource("/apis/apps/v1", "deployments")

TEMPLATE_MANAGER = "bullherd"
SCALING_MANAGER = "bullherd-scaling"


async def read_deployment(kubernetes: Kubernetes, namespace: str, name: str) -> Body | None:
    """The live Deployment of that name, whoever made it; None when there is none."""
    return await kubernetes.find(DEPLOYMENTS, namespace, name)


async def create_deployment(kubernetes: Kubernetes, manifest: Manifest, replicas: int) -> Body:
    """Make it with its replicas, then give those to the scaling manager.

    Ended between the two requests, the replicas stay with the template manager: ``scaling_owned`` tells the
    next cycle.
    """
    whole = {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}
    await kubernetes.apply(DEPLOYMENTS, whole, TEMPLATE_MANAGER)
    return await scale_deployment(
        kubernetes, manifest["metadata"]["namespace"], manifest["metadata"]["name"], replicas
    )


async def apply_template(kubernetes: Kubernetes, manifest: Manifest) -> Body:
    """Bring an existing Deployment to the manifest; its replicas stay with the scaling manager."""
    return await kubernetes.apply(DEPLOYMENTS, manifest, TEMPLATE_MANAGER)


async def scale_deployment(kubernetes: Kubernetes, namespace: str, name: str, replicas: int) -> Body:
    """Set the replicas of an existing Deployment."""
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": replicas},
    }
    return await kubernetes.apply(DEPLOYMENTS, body, SCALING_MANAGER)


def deployment_state(body: Mapping[str, Any]) -> DeploymentState:
    """A Deployment object of the API as the core sees it."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    return DeploymentState(
        owner_uid=controller_of(body),
        fingerprint=annotations.get(FINGERPRINT_ANNOTATION),
        serves=served_queue(annotations),
        replicas=spec.get("replicas", 1),
        existing_replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        scaling_owned=any(map(_owns_replicas, metadata.get("managedFields") or [])),
        unavailable_since=_since(conditions.get("Available"), "False"),
        problem=_problem_of(conditions.values()),
    )


def _owns_replicas(field: Mapping[str, Any]) -> bool:
    """Whether a field manager other than that of the template owns the replicas: ours for scaling, an HPA's,
    or a person's.
    """
    owned = field.get("fieldsV1", {}).get("f:spec", {})
    return "f:replicas" in owned and field.get("manager") != TEMPLATE_MANAGER


def _since(condition: Mapping[str, Any] | None, status: str) -> float | None:
    if condition is None or condition["status"] != status:
        return None
    return datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()


def _problem_of(conditions: Iterable[Mapping[str, Any]]) -> str | None:
    """ReplicaFailure: the API server refuses the pods (quota, Pod Security). Not progressing: they never
    become ready.
    """
    for condition in conditions:
        state = (condition["type"], condition["status"])
        if state == ("ReplicaFailure", "True") or (
            state == ("Progressing", "False") and condition.get("reason") == "ProgressDeadlineExceeded"
        ):
            return f"The workers' pods do not start: {condition.get('message', condition.get('reason'))}"
    return None
