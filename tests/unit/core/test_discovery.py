"""What the aggregated API says of itself. Needs nothing; the real API server reads it in tests/server."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.core.discovery import AGGREGATED, discovery
from bullherd.core.external_metrics import METRICS

GROUP = "external.metrics.k8s.io"

ASKED_BY_AGGREGATOR = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)


def document(path: str, accept: str = "application/json") -> dict[str, Any]:
    found = discovery(path, accept, "0.1.0")
    assert found is not None
    assert found[1] == "application/json"
    return found[0]


def test_from_the_root_to_the_resources() -> None:
    (group,) = document("/apis")["groups"]
    assert document(f"/apis/{group['name']}") == {"kind": "APIGroup", "apiVersion": "v1", **group}
    version = group["preferredVersion"]
    assert version in group["versions"]
    assert version["groupVersion"] == f"{GROUP}/{version['version']}"
    resources = document(f"/apis/{version['groupVersion']}")
    assert resources["groupVersion"] == version["groupVersion"]
    assert {one["name"] for one in resources["resources"]} == METRICS.keys()
    assert all(one["namespaced"] for one in resources["resources"])
    assert {one["kind"] for one in resources["resources"]} == {"ExternalMetricValueList"}
    assert all(one["verbs"] == ["get", "list"] for one in resources["resources"])


@pytest.mark.parametrize(
    ("accept", "aggregated"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (AGGREGATED, True),
        (ASKED_BY_AGGREGATOR, True),
        (f"application/json, {AGGREGATED}", True),
        ("application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io", True),
        ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", False),
        ("application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", False),
    ],
)
def test_the_new_form_is_for_those_who_ask_for_it(accept: str, aggregated: bool) -> None:
    found = discovery("/apis", accept, "0.1.0")
    assert found is not None
    body, media_type = found
    assert (media_type == AGGREGATED) is aggregated
    assert (body["kind"] == "APIGroupDiscoveryList") is aggregated


def test_both_forms_say_the_same() -> None:
    found = discovery("/apis", AGGREGATED, "0.1.0")
    assert found is not None
    (group,) = found[0]["items"]
    (version,) = group["versions"]
    old = document(f"/apis/{GROUP}/v1beta1")["resources"]
    assert group["metadata"]["name"] == GROUP
    assert version["version"] == "v1beta1"
    assert [(one["resource"], one["responseKind"]["kind"], one["verbs"]) for one in version["resources"]] == [
        (one["name"], one["kind"], one["verbs"]) for one in old
    ]
    assert {one["scope"] for one in version["resources"]} == {"Namespaced"}


def test_the_version() -> None:
    version = document("/version")
    assert (version["major"], version["minor"], version["gitVersion"]) == ("0", "1", "v0.1.0")


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/apis/", "/apis/apps", f"/apis/{GROUP}/v1", "/openapi", "/openapi/v1", "/metrics"],
)
def test_nothing_else(path: str) -> None:
    assert discovery(path, "application/json", "0.1.0") is None
