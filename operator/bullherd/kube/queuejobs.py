"""QueueJobs at the API server: listed whole, and their status written."""

from __future__ import annotations

from collections.abc import Iterable

from bullherd.api import GROUP, PLURAL, VERSION, Condition, QueueJob, QueueJobStatus
from bullherd.kube.client import Body, Kubernetes, Resource

QUEUEJOBS = Resource(f"/apis/{GROUP}/{VERSION}", PLURAL)


async def list_queuejobs(kubernetes: Kubernetes, namespace: str | None) -> list[Body]:
    """The bodies of all QueueJobs in a namespace; None means all of the cluster."""
    bodies: list[Body] = (await kubernetes.list(QUEUEJOBS, namespace))["items"]
    return bodies


async def write_status(kubernetes: Kubernetes, job: QueueJob, status: QueueJobStatus) -> None:
    """Replace the status; fields that are None are removed."""
    body = status.model_dump(mode="json", by_alias=True)
    await kubernetes.patch_status(QUEUEJOBS, job.metadata.namespace, job.metadata.name, body)


async def write_conditions(
    kubernetes: Kubernetes, namespace: str, name: str, conditions: Iterable[Condition]
) -> None:
    """For a QueueJob that does not parse: say so, and leave the rest of its status as it is."""
    bodies = [condition.model_dump(mode="json", by_alias=True) for condition in conditions]
    await kubernetes.patch_status(QUEUEJOBS, namespace, name, {"conditions": bodies})
