"""Label selectors mean here what they mean to the API server. Needs the cluster."""

from __future__ import annotations

import pytest

from bullherd.core.label_selector import LabelSelector
from tests.fixtures.kubernetes import ApiRefused, Namespace
from tests.unit.core.selectors import GOOD, MALFORMED

pytestmark = pytest.mark.cluster

LABELS: dict[str, dict[str, str]] = {
    "none": {},
    "x-1": {"x": "1"},
    "x-empty": {"x": ""},
    "x-a-y": {"x": "a", "y": "b"},
    "keywords": {"in": "in", "notin": "notin", "w": "b"},
    "domain": {"example.com/x": "1"},
}


async def selected(namespace: Namespace, selector: str) -> set[str] | None:
    """The names of those of the test's ConfigMaps that the API server selects; None when it refuses."""
    path = f"/api/v1/namespaces/{namespace.name}/configmaps"
    try:
        listed = await namespace.api.request("GET", path, labelSelector=selector)
    except ApiRefused as refused:
        if refused.status != 400:
            raise
        return None
    return {one["metadata"]["name"] for one in listed["items"]} & LABELS.keys()


async def test_the_api_server_agrees(namespace: Namespace) -> None:
    path = f"/api/v1/namespaces/{namespace.name}/configmaps"
    for name, labels in LABELS.items():
        await namespace.api.request("POST", path, {"metadata": {"name": name, "labels": labels}})
    for selector in GOOD:
        wanted = LabelSelector.parse(selector)
        ours = {name for name, labels in LABELS.items() if wanted.matches(labels)}
        assert await selected(namespace, selector) == ours, selector
    for selector in MALFORMED:
        assert await selected(namespace, selector) is None, selector
