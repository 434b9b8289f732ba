"""Reading one ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping

from bullherd.kube.client import Kubernetes, Resource

CONFIG_MAPS = Resource("/api/v1", "configmaps")


async def read_config_map(kubernetes: Kubernetes, namespace: str, name: str) -> Mapping[str, str]:
    """What is in it."""
    body = await kubernetes.get(CONFIG_MAPS, namespace, name)
    data: Mapping[str, str] = body.get("data") or {}
    return data
