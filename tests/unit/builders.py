"""Small makers of what decisions look at, so that a test says only what it is about. Needs nothing."""

from __future__ import annotations

from typing import Any

from bullherd.api import QueueJob
from bullherd.core.connection import Connection, SecretKey, WorkerSecrets
from bullherd.core.deployment import worker_deployment
from bullherd.core.manifests import fingerprint_of
from bullherd.core.observed import DeploymentState
from bullherd.core.policy import ScalingPolicy
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueSnapshot

NOW = 1_800_000_000.0
"""An instant on a whole second, in unix seconds."""

PREFIX = "bullherd-"
"""The chart's prefix of PriorityClasses."""


def body(
    name: str = "emails",
    *,
    namespace: str = "shop",
    uid: str = "uid-1",
    generation: int = 1,
    version: int = 1,
    created: str = "2026-01-01T00:00:00Z",
    queue: str = "emails",
    status: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A QueueJob as the API server sends it. ``pod`` and ``container`` add to its only pod and container. The
    engine is Direct, as that needs nothing else.
    """
    spec["scaling"] = {"engine": "Direct", **spec.get("scaling", {})}
    containers = [{"name": "worker", "image": "worker:1", **(container or {})}]
    template = {"metadata": metadata or {}, "spec": {"containers": containers, **(pod or {})}}
    whole: dict[str, Any] = {
        "apiVersion": "bullherd.dev/v1alpha1",
        "kind": "QueueJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "generation": generation,
            "resourceVersion": str(version),
            "creationTimestamp": created,
        },
        "spec": {"queue": {"name": queue}, "template": template, **spec},
    }
    return whole | ({"status": status} if status is not None else {})


def job(name: str = "emails", **options: Any) -> QueueJob:
    """The same, parsed."""
    return QueueJob.parse(body(name, **options))


def policy(**values: Any) -> ScalingPolicy:
    """0 to 10 replicas, one item each, a minute of cooldown."""
    plain: dict[str, Any] = {
        "min_replicas": 0,
        "max_replicas": 10,
        "items_per_replica": 1,
        "concurrency": 1,
        "cooldown": 60.0,
    }
    plain |= values
    return ScalingPolicy(**{"scale_down_delay": plain["cooldown"]} | plain)


def snapshot(**counts: Any) -> QueueSnapshot:
    """An empty queue, looked at now, but for what is said."""
    return QueueSnapshot(**{"taken_at": NOW} | counts)


def connection(**worker_secrets: Any) -> Connection:
    """A Redis with a password, open to everyone."""
    secrets: dict[str, Any] = {"password": SecretKey("bullherd-connection-default", "password")}
    return Connection(
        RedisEndpoint("redis.example", password="hunter2"),
        WorkerSecrets(**secrets | worker_secrets),
        frozenset({"*"}),
    )


def deployment(
    of: QueueJob, replicas: int = 0, to: Connection | None = None, **fields: Any
) -> DeploymentState:
    """The Deployment that Bullherd made of this QueueJob, complete."""
    manifest = worker_deployment(of, to or connection(), PREFIX)
    complete: dict[str, Any] = {
        "owner_uid": of.metadata.uid,
        "fingerprint": fingerprint_of(manifest),
        "replicas": replicas,
        "existing_replicas": replicas,
        "ready_replicas": replicas,
        "scaling_owned": True,
    }
    return DeploymentState(**complete | fields)
