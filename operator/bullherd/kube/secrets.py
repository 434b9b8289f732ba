"""One Secret: a QueueJob's, where the chart allows to read it (``inlineCredentials.namespaces``), and the one
that the server's replicas keep their certificate in.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bullherd.kube.client import Kubernetes, Resource

SECRETS = Resource("/api/v1", "secrets")


async def read_secret(kubernetes: Kubernetes, namespace: str, name: str) -> Mapping[str, str]:
    """Those of its values that are text. ``KubernetesError`` 403 when the chart does not allow it, 404 when
    there is none.
    """
    return _texts(await kubernetes.get(SECRETS, namespace, name))


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """Its values as they were at one moment."""

    values: Mapping[str, str] = field(repr=False)
    version: str


async def load_secret(kubernetes: Kubernetes, namespace: str, name: str) -> SecretVersion:
    """Those of its values that are text, to be written back."""
    body = await kubernetes.get(SECRETS, namespace, name)
    return SecretVersion(_texts(body), body["metadata"]["resourceVersion"])


async def store_secret(kubernetes: Kubernetes, namespace: str, name: str, secret: SecretVersion) -> None:
    """Write these values, and leave others, if it still is of that version; ``KubernetesError.conflict`` if
    it is not.
    """
    data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.values.items()}
    change = {"metadata": {"resourceVersion": secret.version}, "data": data}
    await kubernetes.patch(SECRETS, namespace, name, change)


def _texts(body: Mapping[str, Any]) -> Mapping[str, str]:
    texts = {key: _text(base64.b64decode(value)) for key, value in (body.get("data") or {}).items()}
    return {key: text for key, text in texts.items() if text is not None}


def _text(value: bytes) -> str | None:
    """None for a keystore or the like, which may lie beside what is asked for."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
