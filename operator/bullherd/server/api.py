"""The aggregated API: every request from its bytes to its answer.

Only the signs of life need no login. Everything else is told who asks first, then whether they may, and only
then whether there is such a thing. Every no is a ``Status`` object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from bullherd import __version__
from bullherd.core.api_request import ApiRequest, api_request
from bullherd.core.api_status import (
    Refusal,
    bad_request,
    internal_error,
    method_not_allowed,
    not_found,
    unauthorized,
    unavailable,
)
from bullherd.core.discovery import discovery
from bullherd.core.external_metrics import GROUP, METRICS, VERSION, values_of
from bullherd.core.label_selector import LabelSelector, MalformedSelector
from bullherd.kube.client import KubernetesError
from bullherd.server.callers import Callers
from bullherd.server.queues import WatchedQueues
from bullherd.telemetry.health import Health
from bullherd.telemetry.server_metrics import ServerMetrics

log = structlog.get_logger(__name__)

_SIGNS_OF_LIFE = ("/healthz", "/livez", "/readyz")

_Document = tuple[Mapping[str, Any], str]
"""What is answered, and its media type."""


class ExternalMetricsApi:
    """Answers requests; ``answer`` never raises."""

    def __init__(
        self,
        callers: Callers,
        queues: WatchedQueues,
        health: Health,
        metrics: ServerMetrics,
        stale_after: float,
    ) -> None:
        self._callers = callers
        self._queues = queues
        self._health = health
        self._metrics = metrics
        self._stale_after = stale_after

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to any request."""
        if request.path in _SIGNS_OF_LIFE:
            return self._sign_of_life(request.path)
        what = api_request(request.method, request.path, request.query)
        began = time.perf_counter()
        try:
            answer = await self._answer(request, what)
        except KubernetesError as error:
            answer = unavailable(f"The API server cannot say who may ask: {error.message}")
        except Exception as error:
            log.error("request_failed", path=request.path, reason=str(error), exc_info=error)
            answer = internal_error()
        response = _response(answer)
        asked = _asked_for(what)
        self._metrics.requests.labels(asked, response.status).inc()
        self._metrics.request_seconds.labels(asked).observe(time.perf_counter() - began)
        return response

    async def _answer(self, request: web.BaseRequest, what: ApiRequest) -> _Document | Refusal:
        user = await self._callers.user(request)
        if user is None:
            return unauthorized()
        if (refusal := await self._callers.refusal(user, what)) is not None:
            return refusal
        if what.resource:
            return self._values(what, request.query)
        document = discovery(what.path, request.headers.get("Accept", ""), __version__)
        if document is None:
            return not_found(f"There is nothing at {what.path!r}.")
        return document if what.verb in ("get", "head") else method_not_allowed(what)

    def _values(self, what: ApiRequest, query: Mapping[str, str]) -> _Document | Refusal:
        known = (what.group, what.version) == (GROUP, VERSION) and what.resource in METRICS
        if not known or not what.namespace or what.name:
            names = ", ".join(METRICS)
            return not_found(
                f"There is no external metric at {what.path!r}. In each namespace there are {names}."
            )
        if what.verb != "list":
            return method_not_allowed(what)
        if query.get("fieldSelector"):
            return bad_request("External metrics have no fields to select by; use labelSelector.")
        try:
            selector = LabelSelector.parse(query.get("labelSelector", ""))
        except MalformedSelector as malformed:
            return bad_request(str(malformed))
        if (refusal := self._queues.refusal(what.namespace)) is not None:
            return refusal
        queues = self._queues.select(what.namespace, selector)
        values = values_of(what.resource, queues, time.time(), self._stale_after)
        return values if isinstance(values, Refusal) else (values, "application/json")

    def _sign_of_life(self, path: str) -> web.Response:
        failures = self._health.failures()
        well = not failures and (self._health.ready or path != "/readyz")
        return web.Response(text="ok" if well else "not ok", status=200 if well else 503)


def _asked_for(what: ApiRequest) -> str:
    """A word for the metrics: strangers must not be able to make ever new ones."""
    if what.resource in METRICS:
        return what.resource
    return "discovery" if what.path.startswith("/apis") and not what.resource else "other"


def _response(answer: _Document | Refusal) -> web.Response:
    status = 200
    if isinstance(answer, Refusal):
        status, answer = answer.code, (answer.body, "application/json")
    body, media_type = answer
    return web.Response(body=json.dumps(body).encode(), status=status, headers={"Content-Type": media_type})
