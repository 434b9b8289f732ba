"""The APIService for external metrics: whose it is, and whether it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bullherd.core.engine import ExternalMetrics, MetricsOwner
from bullherd.kube.client import Kubernetes, KubernetesError, Resource

API_SERVICES = Resource("/apis/apiregistration.k8s.io/v1", "apiservices")
EXTERNAL_METRICS = "v1beta1.external.metrics.k8s.io"


async def read_external_metrics(kubernetes: Kubernetes, namespace: str, service: str) -> ExternalMetrics:
    """Who serves external metrics, given that ours would by this Service. Raises ``KubernetesError`` when
    that cannot be known.
    """
    try:
        body = await kubernetes.get(API_SERVICES, None, EXTERNAL_METRICS)
    except KubernetesError as error:
        if not error.missing:
            raise
        return ExternalMetrics(
            MetricsOwner.NOBODY,
            f"There is no APIService {EXTERNAL_METRICS}. The chart makes one: helm upgrade with "
            f"server.externalMetrics.apiService=auto.",
        )
    return external_metrics_of(body, namespace, service)


def external_metrics_of(body: Mapping[str, Any], namespace: str, service: str) -> ExternalMetrics:
    """An APIService object of the API as the core sees it."""
    served_by = body["spec"].get("service") or {}
    place = f"{served_by.get('namespace')}/{served_by.get('name')}"
    if place != f"{namespace}/{service}":
        return ExternalMetrics(
            MetricsOwner.STRANGER,
            f"The APIService {EXTERNAL_METRICS} leads to the Service {place}, and a cluster has only one.",
        )
    conditions = (body.get("status") or {}).get("conditions") or []
    available = next((one for one in conditions if one["type"] == "Available"), {"status": "Unknown"})
    if available["status"] == "False":
        said = available.get("message") or available.get("reason")
        return ExternalMetrics(
            MetricsOwner.UNAVAILABLE,
            f"Bullherd's server does not answer the API server ({said}). Look at the pods of {place}.",
        )
    return ExternalMetrics(MetricsOwner.OURS)
