"""The worker Deployment of a QueueJob, as a manifest for server-side apply.

Two field managers own it. ``bullherd`` owns everything here but the replicas; ``bullherd-scaling`` owns those
alone. So a change of the template never moves the replicas, and whoever scales instead (an HPA) needs only
that the second one stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bullherd.api import GROUP, QueueJob
from bullherd.core.claims import ServedQueue
from bullherd.core.connection import Connection, SecretKey, WorkerSecrets
from bullherd.core.manifests import QUEUEJOB_LABEL, Manifest, fingerprinted, metadata_of
from bullherd.core.snapshot import QueueKey

REDIS_ANNOTATION = f"{GROUP}/redis"
QUEUE_ANNOTATION = f"{GROUP}/queue"

_TIME_TO_END = 15
"""Seconds beyond its longest item that a pod gets to end."""

_TIME_TO_GIVE_BACK = 10
"""Of these, what the Python worker keeps for putting back an item that takes even longer."""

_TLS_FOLDER = "/var/run/bullherd/redis-tls"
_TLS_VOLUME = "bullherd-redis-tls"


def worker_deployment(job: QueueJob, connection: Connection, priority_class_prefix: str) -> Manifest:
    """The Deployment without replicas. ``priority_class_prefix`` empty means no PriorityClass."""
    metadata = metadata_of(job)
    manifest: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata
        | {
            "annotations": {
                REDIS_ANNOTATION: connection.endpoint.address,
                QUEUE_ANNOTATION: f"{job.spec.queue.prefix}:{job.spec.queue.name}",
            }
        },
        "spec": {
            "selector": {"matchLabels": {QUEUEJOB_LABEL: job.metadata.name}},
            "revisionHistoryLimit": 2,
            "template": _pod_template(job, connection, priority_class_prefix, metadata["labels"]),
        },
    }
    return fingerprinted(manifest)


def served_queue(annotations: Mapping[str, str]) -> ServedQueue | None:
    """Which queue the workers of a Deployment work, from its annotations; None when those do not say.

    Not from the workers' environment, where a user's own names win.
    """
    server, queue = annotations.get(REDIS_ANNOTATION), annotations.get(QUEUE_ANNOTATION)
    if server is None or queue is None:
        return None
    prefix, _, name = queue.rpartition(":")
    return ServedQueue(server, QueueKey(prefix, name))


def worker_environment(job: QueueJob, connection: Connection) -> list[Manifest]:
    """The variables that BullMQ apps already read; secrets by reference only."""
    endpoint, secrets = connection.endpoint, connection.worker_secrets
    plain: dict[str, str] = {
        "REDIS_HOST": endpoint.host,
        "REDIS_PORT": str(endpoint.port),
        "REDIS_DB": str(endpoint.db),
        "REDIS_TLS": "true" if endpoint.tls else "false",
        "QUEUE_NAME": job.spec.queue.name,
        "QUEUE_PREFIX": job.spec.queue.prefix,
        "QUEUE_CONCURRENCY": str(job.spec.concurrency),
    }
    if endpoint.username:
        plain["REDIS_USERNAME"] = endpoint.username
    if endpoint.tls and secrets.ca:
        plain["REDIS_TLS_CA_FILE"] = f"{_TLS_FOLDER}/ca.crt"
    if endpoint.tls and secrets.client_certificate:
        plain["REDIS_TLS_CERT_FILE"] = f"{_TLS_FOLDER}/tls.crt"
        plain["REDIS_TLS_KEY_FILE"] = f"{_TLS_FOLDER}/tls.key"
    if (grace := _grace_for_items(job)) is not None:
        # The pod cannot see its grace period; the Python worker waits 25 s for its items if it is not told.
        plain["WORKER_DRAIN_SECONDS"] = str(max(0, grace - _TIME_TO_GIVE_BACK))
    variables: list[Manifest] = [{"name": name, "value": value} for name, value in plain.items()]
    if secrets.password:
        variables.append(
            {"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": _key_ref(secrets.password)}}
        )
    variables.append({"name": "WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    return variables


def _pod_template(
    job: QueueJob, connection: Connection, priority_class_prefix: str, labels: Mapping[str, str]
) -> Manifest:
    own = job.spec.template.metadata
    metadata: Manifest = {"labels": {**own.labels, **labels}, "annotations": own.annotations}
    spec: Manifest = dict(job.spec.template.spec)
    environment = worker_environment(job, connection)
    tls_volume = _tls_volume(connection)
    for field in ("initContainers", "containers"):
        if field in spec:
            spec[field] = [_container(c, environment, tls_volume is not None) for c in spec[field]]
    if tls_volume is not None:
        spec["volumes"] = [*spec.get("volumes", []), tls_volume]
    if (grace := _grace_for_items(job)) is not None:
        spec["terminationGracePeriodSeconds"] = grace
    if priority_class_prefix and "priorityClassName" not in spec:
        spec["priorityClassName"] = f"{priority_class_prefix}{job.spec.priority.value.lower()}"
    return {"metadata": metadata, "spec": spec}


def _grace_for_items(job: QueueJob) -> int | None:
    """The pods' grace period where it is known how long items take: the template's own, or long enough."""
    longest = job.spec.longest_item_seconds
    if longest is None:
        return None
    own = job.spec.template.spec.get("terminationGracePeriodSeconds")
    return own if isinstance(own, int) else longest + _TIME_TO_END


def _container(container: Mapping[str, Any], environment: Iterable[Manifest], with_tls: bool) -> Manifest:
    own = container.get("env") or []
    named = {variable.get("name") for variable in own}
    # Ours come first so that a user's value may refer to them as $(REDIS_HOST); a user's own name wins.
    filled = {**container, "env": [*(v for v in environment if v["name"] not in named), *own]}
    if with_tls:
        mount = {"name": _TLS_VOLUME, "mountPath": _TLS_FOLDER, "readOnly": True}
        filled["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]
    return filled


def _tls_volume(connection: Connection) -> Manifest | None:
    if connection.endpoint.tls is None:
        return None
    sources = list(_tls_sources(connection.worker_secrets))
    return {"name": _TLS_VOLUME, "projected": {"sources": sources}} if sources else None


def _tls_sources(secrets: WorkerSecrets) -> Iterable[Manifest]:
    if secrets.ca:
        items = [{"key": secrets.ca.key, "path": "ca.crt"}]
        yield {"secret": {"name": secrets.ca.name, "items": items}}
    if secrets.client_certificate:
        items = [{"key": key, "path": key} for key in ("tls.crt", "tls.key")]
        yield {"secret": {"name": secrets.client_certificate, "items": items}}


def _key_ref(secret: SecretKey) -> Manifest:
    return {"name": secret.name, "key": secret.key}
