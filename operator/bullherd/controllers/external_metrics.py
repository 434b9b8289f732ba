"""Whether an HPA can get its metrics from us, looked at now and then.

A cluster has one APIService for external metrics. Whose it is changes when somebody installs or removes an
adapter, which is rare, so it is asked for and not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bullherd.core.engine import ExternalMetrics, MetricsOwner
from bullherd.kube.apiservices import read_external_metrics
from bullherd.kube.client import Kubernetes, KubernetesError

log = structlog.get_logger(__name__)

_INTERVAL = 10.0
"""Seconds between two looks."""

_NOT_INSTALLED = ExternalMetrics(
    MetricsOwner.NOBODY,
    "Bullherd's server for external metrics is not installed. The chart installs it with server.enabled.",
)


class ExternalMetricsLook:
    """The APIService as it was seen last. ``changed`` is called when another look showed something else."""

    def __init__(
        self, kubernetes: Kubernetes, namespace: str, service: str, changed: Callable[[], None]
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._service = service
        self._changed = changed
        self.seen = ExternalMetrics(MetricsOwner.UNKNOWN, "The APIService has not been read yet.")

    async def look(self) -> None:
        """Look once. A look that fails leaves what was seen before."""
        fresh = await self._read()
        if fresh is None or fresh == self.seen:
            return
        log.info("external_metrics_seen", owner=fresh.owner.value, told=fresh.told)
        self.seen = fresh
        self._changed()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.look()

    async def _read(self) -> ExternalMetrics | None:
        if not self._service:
            return _NOT_INSTALLED
        try:
            return await read_external_metrics(self._kubernetes, self._namespace, self._service)
        except KubernetesError as error:
            log.warning("external_metrics_unknown", reason=error.message)
            if self.seen.owner is not MetricsOwner.UNKNOWN:
                return None
            return ExternalMetrics(
                MetricsOwner.UNKNOWN, f"Who serves external metrics cannot be read: {error.message}"
            )
