"""Answers that say no, in the form that every Kubernetes client knows: a ``Status`` object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bullherd.core.api_request import ApiRequest
from bullherd.core.callers import User


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request has no other answer. ``code`` is the HTTP status, ``message`` a sentence."""

    code: int
    reason: str
    message: str

    @property
    def body(self) -> dict[str, Any]:
        """The ``Status`` object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


def bad_request(message: str) -> Refusal:
    """The request itself cannot be understood."""
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    """Nobody knows who asks. It does not say what was wrong, as nowhere in Kubernetes."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(user: User, request: ApiRequest, why: str) -> Refusal:
    """The API server says that this user may not."""
    return Refusal(
        403, "Forbidden", f'User "{user.name}" cannot {request}{": " if why else ""}{why}'.rstrip(".") + "."
    )


def not_found(message: str) -> Refusal:
    """There is no such thing."""
    return Refusal(404, "NotFound", message)


def method_not_allowed(request: ApiRequest) -> Refusal:
    """There is such a thing, but this cannot be done with it."""
    return Refusal(405, "MethodNotAllowed", f"External metrics can only be read: no {request.verb} here.")


def internal_error() -> Refusal:
    """A bug of ours; the log has it."""
    return Refusal(500, "InternalError", "Bullherd failed to answer; its log says why.")


def unavailable(message: str) -> Refusal:
    """Not known at the moment: an HPA holds the replicas."""
    return Refusal(503, "ServiceUnavailable", message)
