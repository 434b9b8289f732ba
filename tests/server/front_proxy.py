"""A front proxy of the test's own, and users whom the API server lets do what the test says."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.fixtures.kubernetes import Body, Namespace

CONFIG_MAP = "front-proxy"

HEADERS = {
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}


def published(authorities: str, *names: str) -> dict[str, str]:
    """What API servers with these authorities and names say of themselves."""
    return {
        "requestheader-client-ca-file": authorities,
        "requestheader-allowed-names": json.dumps(names),
        **HEADERS,
    }


async def publish(namespace: Namespace, data: Mapping[str, str]) -> str:
    """Make or change the ConfigMap; the server's setting for it."""
    path = f"/api/v1/namespaces/{namespace.name}/configmaps"
    body = {"metadata": {"name": CONFIG_MAP}, "data": data}
    known = (await namespace.api.request("GET", path))["items"]
    if any(one["metadata"]["name"] == CONFIG_MAP for one in known):
        await namespace.api.request("PUT", f"{path}/{CONFIG_MAP}", body)
    else:
        await namespace.api.request("POST", path, body)
    return f"{namespace.name}/{CONFIG_MAP}"


def as_user(name: str, *groups: str) -> list[tuple[str, str]]:
    """The headers of a front proxy that speaks for somebody."""
    return [("X-Remote-User", name), *(("X-Remote-Group", group) for group in groups)]


async def let(namespace: Namespace, *subjects: Body, verbs: tuple[str, ...] = ("get", "list")) -> None:
    """Let these read external metrics of the namespace."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace.name}"
    rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": ["*"], "verbs": list(verbs)}
    await namespace.api.request("POST", f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    binding = {"metadata": {"name": "reader"}, "roleRef": reference, "subjects": subjects}
    await namespace.api.request("POST", f"{rbac}/rolebindings", binding)


def user(name: str) -> Body:
    """Somebody, for ``let``."""
    return {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def group(name: str) -> Body:
    """A group, for ``let``."""
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def account(namespace: Namespace, name: str) -> Body:
    """A ServiceAccount of the namespace, for ``let``."""
    return {"kind": "ServiceAccount", "namespace": namespace.name, "name": name}


async def token_of(namespace: Namespace, name: str) -> str:
    """Make a ServiceAccount and log in as it."""
    path = f"/api/v1/namespaces/{namespace.name}/serviceaccounts"
    await namespace.api.request("POST", path, {"metadata": {"name": name}})
    answer = await namespace.api.request("POST", f"{path}/{name}/token", {"spec": {}})
    token: str = answer["status"]["token"]
    return token
