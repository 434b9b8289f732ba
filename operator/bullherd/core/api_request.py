"""What a request to an aggregated API asks for, in the words in which Kubernetes grants rights.

The rules are those of Kubernetes' own servers: ``/apis/<group>/<version>/namespaces/<namespace>/<resource>``
is about a resource, what is shorter about a path; a GET without an object's name is a list or a watch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """``resource`` empty: it is about the path alone."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As in Kubernetes' own sentence of who may not do what."""
        if not self.resource:
            return f'{self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f'{self.verb} resource "{resource}" in API group "{self.group}" {where}'


def api_request(method: str, path: str, query: Mapping[str, str]) -> ApiRequest:
    """``path`` is decoded; of a parameter that is given twice, the first counts."""
    parts = [part for part in path.split("/") if part]
    if len(parts) < 4 or parts[0] != "apis":
        return ApiRequest(method.lower(), path)
    _, group, version, *rest = parts
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        rest = rest[2:] or ["namespaces", namespace]
    resource, name, subresource = [*rest, "", ""][:3]
    verb = _VERBS.get(method, "")
    if verb == "get" and not name:
        verb = "watch" if query.get("watch", "0").lower() not in ("0", "false") else "list"
    if verb == "delete" and not name:
        verb = "deletecollection"
    return ApiRequest(verb, path, group, version, namespace, resource, name, subresource)
