"""An API server in memory: what ``bullherd.kube.client.Kubernetes`` does, with the API server's answers.

It keeps to what the operator can tell apart: 404 for what is not there, 409 for what is there already or has
another resourceVersion, 422 for what is not valid, resourceVersions that grow with each real change, server-
side apply with an owner per field manager for the replicas and the rest, merge patches in which null removes.
``tests/cluster`` asks the same of a real API server.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bullherd.kube.autoscalers import AUTOSCALERS
from bullherd.kube.client import Body, Kubernetes, KubernetesError, Resource
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.leases import LEASES
from bullherd.kube.queuejobs import QUEUEJOBS

Place = tuple[str, str, str]
"""Plural, namespace and name."""

Refusal = Callable[[str, str, Body], KubernetesError | None]
"""Asked before each request with method, plural and body."""


class FakeKubernetes(Kubernetes):
    """``requests`` has method, plural and name of each; ``seen`` is called with plural and object after each
    change, as a watch would bring it.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []
        self.refuses: Refusal = lambda method, plural, body: None
        self.seen: Callable[[str, Body], None] = lambda plural, body: None
        self._objects: dict[Place, Body] = {}
        self._owners_of_replicas: dict[Place, set[str]] = {}
        self._version = 100
        self._silent: asyncio.Event | None = None

    # What a test does to the cluster.

    def put(self, resource: Resource, body: Body) -> Body:
        """Make or replace an object, as somebody else's kubectl."""
        return self._store(_place(resource, body), copy.deepcopy(body))

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object."""
        self._objects.pop((resource.plural, namespace, name))
        self._owners_of_replicas.pop((resource.plural, namespace, name), None)

    def look(self, resource: Resource, namespace: str, name: str) -> Body:
        """An object as it stands."""
        return copy.deepcopy(self._objects[resource.plural, namespace, name])

    def all(self, plural: str) -> list[Body]:
        """All objects of a kind, oldest first."""
        return [copy.deepcopy(body) for (kind, *_), body in self._objects.items() if kind == plural]

    def count(self, method: str, plural: str) -> int:
        """How many such requests came."""
        return sum(request[:2] == (method, plural) for request in self.requests)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Requests hang, and reach nothing."""
        self._silent = asyncio.Event()
        try:
            yield
        finally:
            self._silent.set()
            self._silent = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Requests fail at once, without an answer."""
        before = self.refuses
        self.refuses = lambda *_: KubernetesError(0, "The API server did not answer.")
        try:
            yield
        finally:
            self.refuses = before

    # The requests.

    async def get(self, resource: Resource, namespace: str, name: str) -> Body:
        await self._received("GET", resource, name, {})
        return self._there((resource.plural, namespace, name))

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Body:
        await self._received("LIST", resource, namespace or "", {})
        items = [
            copy.deepcopy(body)
            for (plural, where, _), body in self._objects.items()
            if plural == resource.plural
            and namespace in (None, where)
            and (labels or {}).items() <= body["metadata"].get("labels", {}).items()
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self._version)}}

    async def create(self, resource: Resource, namespace: str, body: Body) -> Body:
        await self._received("POST", resource, body["metadata"]["name"], body)
        place = _place(resource, body)
        if place in self._objects:
            raise KubernetesError(409, f'{resource.plural} "{place[2]}" already exists')
        return self._store(place, copy.deepcopy(body))

    async def replace(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        await self._received("PUT", resource, name, body)
        place = (resource.plural, namespace, name)
        stands = self._there(place)["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion", stands) != stands:
            raise KubernetesError(409, f'"{name}": the object has been modified; please apply your changes')
        return self._store(place, copy.deepcopy(body))

    async def apply(self, resource: Resource, body: Body, field_manager: str) -> Body:
        await self._received("APPLY", resource, body["metadata"]["name"], body)
        place = _place(resource, body)
        before = self._objects.get(place, {})
        after = _merged(before, body)
        if resource == AUTOSCALERS:
            after["metadata"].setdefault("uid", f"uid-{self._version}")
            return self._store(place, after)
        assert resource == DEPLOYMENTS, "nothing else is applied"
        spec, owners = after["spec"], set(self._owners_of_replicas.get(place, set()))
        if "template" not in spec or "selector" not in spec:
            raise KubernetesError(422, f'Deployment.apps "{place[2]}" is invalid: spec.template: Required')
        if "template" in body["spec"]:
            spec["template"] = copy.deepcopy(body["spec"]["template"])
        if "replicas" in body["spec"]:
            # Forced: whoever wanted another number no longer owns it.
            same = before.get("spec", {}).get("replicas") == body["spec"]["replicas"]
            owners = {*(owners if same else ()), field_manager}
        elif field_manager in owners:
            owners.discard(field_manager)
            if not owners:
                spec["replicas"] = 1
        spec.setdefault("replicas", 1)
        self._owners_of_replicas[place] = owners
        managers = {*owners, *(m["manager"] for m in before.get("metadata", {}).get("managedFields", []))}
        if "template" in body["spec"]:
            managers.add(field_manager)
        elif field_manager not in owners:
            managers.discard(field_manager)
        after["metadata"]["managedFields"] = [
            {"manager": m, "fieldsV1": {"f:spec": {"f:replicas": {}} if m in owners else {}}}
            for m in sorted(managers)
        ]
        return self._store(place, after)

    async def patch(self, resource: Resource, namespace: str, name: str, change: Body) -> Body:
        await self._received("PATCH", resource, name, change)
        body: Body = _patched(self._there((resource.plural, namespace, name)), change)
        return self._store((resource.plural, namespace, name), body)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        await self._received("DELETE", resource, name, {})
        if self._there((resource.plural, namespace, name))["metadata"]["uid"] != uid:
            raise KubernetesError(409, "Precondition failed: UID in precondition differs")
        self.remove(resource, namespace, name)

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Body:
        await self._received("PATCH", resource, name, {"status": dict(status)})
        assert resource == QUEUEJOBS, "no other status is ours"
        place = (resource.plural, namespace, name)
        body = self._there(place)
        body["status"] = _patched(body.get("status", {}), dict(status))
        return self._store(place, body)

    async def _received(self, method: str, resource: Resource, name: str, body: Body) -> None:
        self.requests.append((method, resource.plural, name))
        await asyncio.sleep(0)
        if self._silent is not None:
            await self._silent.wait()
        if (refusal := self.refuses(method, resource.plural, body)) is not None:
            raise refusal

    def _there(self, place: Place) -> Body:
        if place not in self._objects:
            raise KubernetesError(404, f'{place[0]} "{place[2]}" not found')
        return copy.deepcopy(self._objects[place])

    def _store(self, place: Place, body: Body) -> Body:
        if place[0] == LEASES.plural and body["spec"].get("holderIdentity") == "":
            raise KubernetesError(422, "spec.holderIdentity: must not be empty")
        before = self._objects.get(place)
        body.setdefault("metadata", {}).setdefault("uid", f"made-{self._version}")
        if before is None or _bare(before) != _bare(body):
            self._version += 1
            body["metadata"]["resourceVersion"] = str(self._version)
            self._objects[place] = body
            self.seen(place[0], copy.deepcopy(body))
        return copy.deepcopy(self._objects[place])


def _place(resource: Resource, body: Body) -> Place:
    return resource.plural, body["metadata"]["namespace"], body["metadata"]["name"]


def _bare(body: Body) -> Body:
    metadata = {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}
    return {**body, "metadata": metadata}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Body:
    merged: Body = copy.deepcopy(dict(below))
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _patched(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    patched = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            patched.pop(key, None)
        else:
            patched[key] = _patched(patched.get(key), value)
    return patched
