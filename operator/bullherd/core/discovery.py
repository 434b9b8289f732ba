"""What an aggregated API says of itself: which resources it has, in the old and the new form of discovery.

The API server asks ``/apis`` for the new one, an ``APIGroupDiscoveryList``; others go from ``/apis`` to the
group to its version. Both say the same. The API server also asks for OpenAPI, in both of its forms, and
complains for ever where there is none; ours describe nothing, for nobody makes clients of them.
"""

from __future__ import annotations

from typing import Any

from bullherd.core.external_metrics import GROUP, LIST_KIND, METRICS, VERSION

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The media type of the new form."""

_VERBS = ["get", "list"]
_GROUP_VERSION = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
_GROUP = {"name": GROUP, "versions": [_GROUP_VERSION], "preferredVersion": _GROUP_VERSION}


def discovery(path: str, accept: str, version: str) -> tuple[dict[str, Any], str] | None:
    """The document at a path and its media type; None where there is none. ``version`` is our own."""
    if path == "/apis" and _wants_aggregated(accept):
        return _aggregated(), AGGREGATED
    documents: dict[str, dict[str, Any]] = {
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
        f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
        f"/apis/{GROUP}/{VERSION}": _resources(),
        "/openapi/v2": {"swagger": "2.0", "info": {"title": "Bullherd", "version": version}, "paths": {}},
        "/openapi/v3": {"paths": {}},
        "/version": _version(version),
    }
    document = documents.get(path)
    return None if document is None else (document, "application/json")


def _wants_aggregated(accept: str) -> bool:
    wanted = set(AGGREGATED.split(";"))
    kinds = ({part.strip() for part in kind.split(";")} for kind in accept.split(","))
    return any(wanted <= kind for kind in kinds)


def _resources() -> dict[str, Any]:
    resources = [
        {"name": name, "singularName": "", "namespaced": True, "kind": LIST_KIND, "verbs": _VERBS}
        for name in METRICS
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": resources,
    }


def _aggregated() -> dict[str, Any]:
    resources = [
        {
            "resource": name,
            "responseKind": {"group": GROUP, "version": VERSION, "kind": LIST_KIND},
            "scope": "Namespaced",
            "singularResource": "",
            "verbs": _VERBS,
        }
        for name in METRICS
    ]
    versions = [{"version": VERSION, "freshness": "Current", "resources": resources}]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{"metadata": {"name": GROUP}, "versions": versions}],
    }


def _version(version: str) -> dict[str, str]:
    """In the form of the API server's own: clients parse it."""
    major, minor, *_ = version.split(".")
    return {"major": major, "minor": minor, "gitVersion": f"v{version}", "platform": "linux"}
