"""The bundle by which API servers know who serves external metrics; only where that is us."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from bullherd.kube.apiservices import API_SERVICES, EXTERNAL_METRICS
from bullherd.kube.client import Kubernetes


@dataclass(frozen=True, slots=True)
class CaBundle:
    """PEM certificates, and the version of the APIService that they were in."""

    pem: str
    version: str


async def read_ca_bundle(kubernetes: Kubernetes, namespace: str, service: str) -> CaBundle | None:
    """Of the APIService, if it leads to this Service; None if it leads elsewhere or is not there."""
    body = await kubernetes.find(API_SERVICES, None, EXTERNAL_METRICS)
    served_by = (body or {}).get("spec", {}).get("service") or {}
    if body is None or (served_by.get("namespace"), served_by.get("name")) != (namespace, service):
        return None
    encoded = body["spec"].get("caBundle") or ""
    pem = base64.b64decode(encoded).decode(errors="replace")
    return CaBundle(pem, body["metadata"]["resourceVersion"])


async def write_ca_bundle(kubernetes: Kubernetes, bundle: CaBundle) -> None:
    """Write it, if the APIService still is of that version; ``KubernetesError.conflict`` if it is not."""
    change = {
        "metadata": {"resourceVersion": bundle.version},
        "spec": {"caBundle": base64.b64encode(bundle.pem.encode()).decode()},
    }
    await kubernetes.patch(API_SERVICES, None, EXTERNAL_METRICS, change)
