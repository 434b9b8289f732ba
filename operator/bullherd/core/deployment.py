"""The worker Deployment of a QueueJob, as a manifest for server-side apply.

Two field managers own it. ``bullherd`` owns everything here but the replicas; ``bullherd-scaling`` owns those
alone. So a change of the template never moves the replicas, and whoever scales instead (an HPA) needs only
that the second one stops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from bullherd.api import GROUP, VERSION, QueueJob
from bullherd.core.claims import ServedQueue
from bullherd.core.connection import Connection, SecretKey, WorkerSecrets
from bullherd.core.snapshot import QueueKey

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "bullherd"
QUEUEJOB_LABEL = f"{GROUP}/queuejob"
FINGERPRINT_ANNOTATION = f"{GROUP}/fingerprint"
REDIS_ANNOTATION = f"{GROUP}/redis"
QUEUE_ANNOTATION = f"{GROUP}/queue"

_TLS_FOLDER = "/var/run/bullherd/redis-tls"
_TLS_VOLUME = "bullherd-redis-tls"

Manifest = dict[str, Any]


def worker_deployment(job: QueueJob, connection: Connection, priority_class_prefix: str) -> Manifest:
    """The Deployment without replicas. ``priority_class_prefix`` empty means no PriorityClass."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, QUEUEJOB_LABEL: job.metadata.name}
    manifest: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": job.metadata.name,
            "namespace": job.metadata.namespace,
            "labels": labels,
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "selector": {"matchLabels": {QUEUEJOB_LABEL: job.metadata.name}},
            "revisionHistoryLimit": 2,
            "template": _pod_template(job, connection, priority_class_prefix, labels),
        },
    }
    annotations = manifest["metadata"]["annotations"] = {
        REDIS_ANNOTATION: connection.endpoint.address,
        QUEUE_ANNOTATION: f"{job.spec.queue.prefix}:{job.spec.queue.name}",
    }
    annotations[FINGERPRINT_ANNOTATION] = _fingerprint(manifest)
    return manifest


def served_queue(annotations: Mapping[str, str]) -> ServedQueue | None:
    """Which queue the workers of a Deployment work, from its annotations; None when those do not say.

    Not from the workers' environment, where a user's own names win.
    """
    server, queue = annotations.get(REDIS_ANNOTATION), annotations.get(QUEUE_ANNOTATION)
    if server is None or queue is None:
        return None
    prefix, _, name = queue.rpartition(":")
    return ServedQueue(server, QueueKey(prefix, name))


def fingerprint_of(manifest: Manifest) -> str:
    """What tells two manifests of ``worker_deployment`` apart."""
    value: str = manifest["metadata"]["annotations"][FINGERPRINT_ANNOTATION]
    return value


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
    if priority_class_prefix and "priorityClassName" not in spec:
        spec["priorityClassName"] = f"{priority_class_prefix}{job.spec.priority.value.lower()}"
    return {"metadata": metadata, "spec": spec}


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


def _owner(job: QueueJob) -> Manifest:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "QueueJob",
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
        # True would need permission on the owner's finalizers where that admission check is on.
        "blockOwnerDeletion": False,
    }


def _fingerprint(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
