"""Kubernetes Events about a QueueJob: one for each transition, written after the status.

kubectl sorts them by their time, which has whole seconds, and those of one second by their name. So the names
are in order, too, as client-go's are.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from bullherd.api import GROUP, VERSION, QueueJob
from bullherd.kube.client import Kubernetes, Resource

EVENTS = Resource("/api/v1", "events")

_MESSAGE_LIMIT = 1024


async def emit_event(
    kubernetes: Kubernetes,
    job: QueueJob,
    type_: Literal["Normal", "Warning"],
    reason: str,
    message: str,
    now: float,
) -> None:
    """Write one Event; ``reason`` is CamelCase, ``message`` a sentence (cut at the API's 1024 characters)."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = job.metadata
    await kubernetes.create(
        EVENTS,
        metadata.namespace,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata.name}.{time.time_ns():016x}", "namespace": metadata.namespace},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "QueueJob",
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
            },
            "type": type_,
            "reason": reason,
            "message": message[:_MESSAGE_LIMIT],
            "source": {"component": "bullherd"},
            "reportingComponent": "bullherd.dev/operator",
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        },
    )
