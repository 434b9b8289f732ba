"""The HorizontalPodAutoscaler of a QueueJob, as a manifest for server-side apply.

It divides the backlog among the pods and grows by that. Shrinking is Bullherd's: ``minReplicas`` is what
Bullherd holds at the moment (the wait before a scale-in, busy pods, floors), and comes down only when the
pods that are busy have been marked. ``maxReplicas`` is what Bullherd allows. From and to 0 an HPA does not
scale at all: at 0 replicas it rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bullherd.api import QueueJob
from bullherd.core.manifests import Manifest, fingerprinted, metadata_of

BACKLOG_METRIC = "bullherd_queue_backlog"
QUEUEJOB_SELECTOR = "queuejob"
"""The label of an external metric that tells whose it is."""

_PERIOD = 15
"""Seconds: how often Kubernetes' controller looks at an HPA, unless it was told otherwise."""


@dataclass(frozen=True, slots=True)
class AutoscalerState:
    """What matters of a live HPA. ``target``: kind and name of what it scales; ``trouble``: why it does not,
    in the words of its own conditions; ``most``: its ``maxReplicas``.
    """

    uid: str
    owner_uid: str | None
    fingerprint: str | None
    target: str | None = None
    trouble: str | None = None
    most: int = 0


def autoscaler_manifest(job: QueueJob, least: int, most: int) -> Manifest:
    """The HPA that keeps the QueueJob's Deployment between ``least`` (1 at least) and ``most`` replicas."""
    scaling = job.spec.scaling
    backlog = {
        "type": "External",
        "external": {
            "metric": {
                "name": BACKLOG_METRIC,
                "selector": {"matchLabels": {QUEUEJOB_SELECTOR: job.metadata.name}},
            },
            "target": {"type": "AverageValue", "averageValue": str(job.spec.effective_items_per_replica)},
        },
    }
    return fingerprinted(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata_of(job),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": job.metadata.name},
                "minReplicas": least,
                "maxReplicas": most,
                "metrics": [backlog, *scaling.extra_metrics],
                "behavior": {**_default_behavior(job), **scaling.behavior},
            },
        }
    )


def _default_behavior(job: QueueJob) -> dict[str, Any]:
    """As many as are needed at once, in both directions: Kubernetes' own default doubles step by step, and
    waits five minutes before it shrinks, after Bullherd has waited already.
    """
    rate, most = job.spec.scaling.max_scale_up_per_second, job.spec.scaling.max_replicas
    step = most if rate is None else min(most, rate * _PERIOD)
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": step, "periodSeconds": _PERIOD}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": _PERIOD}],
        },
    }
