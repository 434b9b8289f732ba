"""The few requests that Bullherd makes to the API server, on kubernetes_asyncio's transport and credentials.

Bodies are plain dictionaries: what goes in is rendered by the core, what comes out is parsed into frozen
values right where it is read. Errors become ``KubernetesError`` with the API server's own sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.client.exceptions import ApiException

Body = dict[str, Any]

REQUEST_TIMEOUT = 30.0
"""Seconds. A hung request must not hold a reconcile for longer."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object by its place in the API: ``api`` is ``/api/v1`` or ``/apis/<group>/<version>``."""

    api: str
    plural: str

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path of a collection, an object or a subresource."""
        parts = [self.api]
        if namespace is not None:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, subresource) if part is not None)
        return "/".join(parts)


class KubernetesError(Exception):
    """A request that failed. ``status`` is the HTTP status, or 0 when the API server did not answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def unanswered(self) -> bool:
        """The API server said nothing: it is away."""
        return self.status == 0

    @property
    def refused(self) -> bool:
        """The API server understood and said no to this very object: trying it again unchanged is no use."""
        return self.status in (400, 403, 422)

    @property
    def forbidden(self) -> bool:
        """We may not do this, or somebody forbids it for this object."""
        return self.status == 403

    @property
    def missing(self) -> bool:
        """There is no such object."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Somebody else was faster: the object exists, or has another resourceVersion by now."""
        return self.status == 409


class Kubernetes:
    """One API server with our credentials. Use as an async context manager."""

    def __init__(self, api_client: ApiClient) -> None:
        self._api_client = api_client

    @classmethod
    async def connect(cls) -> Self:
        """Inside a pod by its service account, elsewhere by the current kubeconfig."""
        configuration = Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(ApiClient(configuration))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api_client.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body:
        """One object; ``KubernetesError.missing`` when there is none. ``namespace`` None: of the cluster."""
        return await self._request("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        """One object, or None when there is none."""
        try:
            return await self.get(resource, namespace, name)
        except KubernetesError as error:
            if error.missing:
                return None
            raise

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Body:
        """All objects of a namespace, or of the cluster; with ``labels``, only those that have them."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        query = {"labelSelector": selector} if selector else None
        return await self._request("GET", resource.path(namespace), query=query)

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> Body:
        """A new object; ``KubernetesError.conflict`` when it exists."""
        return await self._request("POST", resource.path(namespace), body=body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """The object as a whole; with a resourceVersion in ``body``, only if nobody changed it meanwhile."""
        return await self._request("PUT", resource.path(namespace, name), body=body)

    async def apply(self, resource: Resource, body: Body, field_manager: str) -> Body:
        """Server-side apply: the fields in ``body`` become ours, the others stay whose they are."""
        metadata = body["metadata"]
        return await self._request(
            "PATCH",
            resource.path(metadata["namespace"], metadata["name"]),
            query={"fieldManager": field_manager, "force": "true"},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    async def patch(self, resource: Resource, namespace: str | None, name: str, change: Body) -> Body:
        """A merge patch of the object: what is not in ``change`` stays, null removes a field."""
        return await self._request(
            "PATCH",
            resource.path(namespace, name),
            body=change,
            content_type="application/merge-patch+json",
        )

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Remove the object, if it is the one with this uid; ``KubernetesError.conflict`` if it is not."""
        await self._request("DELETE", resource.path(namespace, name), body={"preconditions": {"uid": uid}})

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Body:
        """A merge patch of the status subresource: null removes a field."""
        return await self._request(
            "PATCH",
            resource.path(namespace, name, "status"),
            body={"status": dict(status)},
            content_type="application/merge-patch+json",
        )

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Body:
        try:
            response = await self._api_client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=REQUEST_TIMEOUT,
            )
            text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            raise KubernetesError(0, f"The API server did not answer {method} {path}: {error!r}") from error
        if response.status >= 300:
            raise KubernetesError(
                response.status, _message_of(text) or f"{method} {path}: HTTP {response.status}"
            )
        parsed: Body = json.loads(text)
        return parsed


def _message_of(text: str) -> str | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return message if isinstance(message, str) else None
