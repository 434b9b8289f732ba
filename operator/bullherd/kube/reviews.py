"""Asking the API server who somebody is and what they may do."""

from __future__ import annotations

from typing import Any

from bullherd.core.api_request import ApiRequest
from bullherd.core.callers import User
from bullherd.kube.client import Body, Kubernetes, Resource

TOKEN_REVIEWS = Resource("/apis/authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Resource("/apis/authorization.k8s.io/v1", "subjectaccessreviews")


async def review_token(kubernetes: Kubernetes, token: str) -> User | None:
    """Whose token it is; None when it is nobody's."""
    status = (
        await kubernetes.create(TOKEN_REVIEWS, None, _review("authentication", "TokenReview", token=token))
    )["status"]
    if not status.get("authenticated"):
        return None
    user = status["user"]
    extra = (user.get("extra") or {}).items()
    return User(
        name=user.get("username", ""),
        uid=user.get("uid", ""),
        groups=tuple(user.get("groups") or ()),
        extra=tuple((key, tuple(values)) for key, values in extra),
    )


async def review_access(kubernetes: Kubernetes, user: User, request: ApiRequest) -> str | None:
    """Why this user may not do that, perhaps without words; None when they may."""
    review = _review(
        "authorization",
        "SubjectAccessReview",
        user=user.name,
        uid=user.uid,
        groups=list(user.groups),
        extra={key: list(values) for key, values in user.extra},
        **_attributes(request),
    )
    status = (await kubernetes.create(ACCESS_REVIEWS, None, review))["status"]
    return None if status.get("allowed") else status.get("reason") or ""


def _attributes(request: ApiRequest) -> dict[str, Any]:
    if not request.resource:
        return {"nonResourceAttributes": {"path": request.path, "verb": request.verb}}
    return {
        "resourceAttributes": {
            "group": request.group,
            "version": request.version,
            "namespace": request.namespace,
            "resource": request.resource,
            "subresource": request.subresource,
            "name": request.name,
            "verb": request.verb,
        }
    }


def _review(group: str, kind: str, **spec: Any) -> Body:
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}
