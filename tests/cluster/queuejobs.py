"""QueueJobs as tests write them, and what tests read from them and their Deployments."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from tests.fixtures.kubernetes import WAIT_LIMIT_S, Body, Namespace

UNSCHEDULABLE: Body = {
    "spec": {
        "nodeSelector": {"bullherd.dev/no-such-node": "true"},
        "containers": [{"name": "worker", "image": "localhost/pause:1"}],
    }
}
"""A worker whose pods stay Pending: enough where only the number of replicas matters, and free of charge."""

PAUSING: Body = {
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "worker", "image": "localhost/pause:1"}],
    }
}
"""A worker whose pods run and do nothing."""


def queuejob(
    name: str,
    *,
    queue: str | None = None,
    redis: Body | None = None,
    concurrency: int = 1,
    template: Body = UNSCHEDULABLE,
    engine: str = "Direct",
    **scaling: Any,
) -> Body:
    """A QueueJob; its queue is called like itself, ``scaling`` has the API's names."""
    spec: Body = {
        "queue": {"name": queue or name},
        "concurrency": concurrency,
        "scaling": {"engine": engine, "cooldownSeconds": 300, **scaling},
        "template": template,
    }
    if redis is not None:
        spec["redis"] = redis
    return {
        "apiVersion": "bullherd.dev/v1alpha1",
        "kind": "QueueJob",
        "metadata": {"name": name},
        "spec": spec,
    }


def condition(body: Body, type_: str = "Ready") -> dict[str, Any]:
    """A condition of a QueueJob; empty when it has none of that type."""
    conditions: list[dict[str, Any]] = body.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})


def desired(body: Body) -> int | None:
    """The replicas that a QueueJob calls for, as its status says."""
    replicas: int | None = body.get("status", {}).get("scaling", {}).get("desiredReplicas")
    return replicas


async def ready(namespace: Namespace, name: str, reason: str = "", limit: float = WAIT_LIMIT_S) -> Body:
    """The QueueJob as soon as Ready is True; or, with a reason, as soon as it is not, for that reason."""

    def holds(body: Body) -> bool:
        found = condition(body)
        return bool(found) and (
            (found["status"] != "True" and found["reason"] == reason)
            if reason
            else found["status"] == "True" and found["observedGeneration"] == body["metadata"]["generation"]
        )

    return await namespace.until("QueueJob", name, holds, limit)


async def replicas(namespace: Namespace, name: str, wanted: int, limit: float = WAIT_LIMIT_S) -> Body:
    """The Deployment as soon as it asks for so many replicas."""
    return await namespace.until(
        "Deployment", name, lambda body: bool(body["spec"]["replicas"] == wanted), limit
    )


def steps(namespace: Namespace, name: str) -> list[int]:
    """The replicas that a Deployment has asked for, one after another, without repetitions."""
    asked = [version.body["spec"]["replicas"] for version in namespace.history("Deployment", name)]
    return [number for number, _ in groupby(asked)]


def reasons(namespace: Namespace, name: str) -> list[str]:
    """The reasons of the Kubernetes Events about a QueueJob, oldest first."""
    events = [one for one in namespace.all("Event") if one["involvedObject"]["name"] == name]
    ours = [one for one in events if one["involvedObject"]["kind"] == "QueueJob"]
    return [one["reason"] for one in sorted(ours, key=lambda one: int(one["metadata"]["resourceVersion"]))]
