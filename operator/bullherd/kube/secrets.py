"""Reading one Secret, where the chart allows it (``inlineCredentials.namespaces``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from bullherd.kube.client import Kubernetes, Resource

SECRETS = Resource("/api/v1", "secrets")


async def read_secret(kubernetes: Kubernetes, namespace: str, name: str) -> Mapping[str, str]:
    """Its values as text. ``KubernetesError`` 403 when the chart does not allow it, 404 when there is
    none.
    """
    body = await kubernetes.get(SECRETS, namespace, name)
    return {key: base64.b64decode(value).decode() for key, value in (body.get("data") or {}).items()}
