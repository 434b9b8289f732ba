"""Who calls, and whether they may: the front proxy's word or a token for the first, the API server for the
second.

The front proxy is believed by its client certificate alone, checked when the connection was made; whether the
authorities, the name and the time still are right is checked again with every request, for connections stay.
What the API server cannot be asked is not guessed: ``KubernetesError`` goes to the caller of these.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from functools import partial
from typing import Any

from aiohttp import web

from bullherd.core.api_request import ApiRequest
from bullherd.core.api_status import Refusal, forbidden
from bullherd.core.callers import User
from bullherd.kube.client import Kubernetes
from bullherd.kube.reviews import review_access, review_token
from bullherd.server.front_proxy import FrontProxyWatch
from bullherd.server.review_cache import ReviewCache
from bullherd.server.tls import ServingContext


class Callers:
    """Knows them by the front proxy and the API server."""

    def __init__(self, kubernetes: Kubernetes, front_proxy: FrontProxyWatch) -> None:
        self._kubernetes = kubernetes
        self._front_proxy = front_proxy
        self._tokens: ReviewCache[bytes, User | None] = ReviewCache()
        self._rights: ReviewCache[tuple[User, ApiRequest], str | None] = ReviewCache()

    async def user(self, request: web.BaseRequest) -> User | None:
        """For whom the request is made; None when nobody knows."""
        proxy = self._front_proxy.current
        name = self._certified_name(request)
        user = None
        if name is not None and proxy.accepts(name):
            user = proxy.user(request.headers.items())
        if user is None and (token := _bearer_token(request)) is not None:
            # The cache need not hold what somebody could log in with.
            digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
            user = await self._tokens.ask(digest, partial(review_token, self._kubernetes, token))
        return user.authenticated if user is not None else None

    async def refusal(self, user: User, what: ApiRequest) -> Refusal | None:
        """Why a user may not do this; None when they may."""
        review = partial(review_access, self._kubernetes, user, what)
        why = await self._rights.ask((user, what), review)
        return None if why is None else forbidden(user, what, why)

    def _certified_name(self, request: web.BaseRequest) -> str | None:
        """The common name in the peer's certificate, if one of today's authorities signed it and it is still
        good.
        """
        peer: dict[str, Any] = request.get_extra_info("peercert") or {}
        connection = request.get_extra_info("ssl_object")
        if not peer or not isinstance(connection.context, ServingContext):
            return None
        if connection.context.client_authorities != self._front_proxy.current.authorities:
            return None
        if ssl.cert_time_to_seconds(peer["notAfter"]) <= time.time():
            return None
        names = [value for parts in peer["subject"] for key, value in parts if key == "commonName"]
        return names[-1] if names else None


def _bearer_token(request: web.BaseRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
