"""Reading one Secret, where the chart allows it (``inlineCredentials.namespaces``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from bullherd.kube.client import Kubernetes, Resource

SECRETS = Resource("/api/v1", "secrets")


async def read_secret(kubernetes: Kubernetes, namespace: str, name: str) -> Mapping[str, str]:
    """Those of its values that are text. ``KubernetesError`` 403 when the chart does not allow it, 404 when
    there is none.
    """
    body = await kubernetes.get(SECRETS, namespace, name)
    texts = {key: _text(base64.b64decode(value)) for key, value in (body.get("data") or {}).items()}
    return {key: text for key, text in texts.items() if text is not None}


def _text(value: bytes) -> str | None:
    """None for a keystore or the like, which may lie beside what is asked for."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
