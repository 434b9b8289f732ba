"""The safety net under the watches: a full list of the QueueJobs every minute.

A watch can fall silent without an error. What the list shows and no watch brought within a grace is taken
from the list, so nothing waits for ever; and the pulse of the watch is only beaten when it had missed
nothing, so ``/healthz`` fails after a few such rounds and the kubelet restarts the process. A list that fails
proves nothing about the watch, nor about what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bullherd.controllers.registry import Registry, key_of
from bullherd.kube.client import Body, Kubernetes, KubernetesError
from bullherd.kube.queuejobs import list_queuejobs
from bullherd.telemetry.health import Pulse

log = structlog.get_logger(__name__)

_GRACE = 5.0
"""Seconds that a watch may be behind a list."""

_FIRST_LIST_RETRY = 2.0


class Resync:
    """Compares the registry with lists."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        registry: Registry,
        namespaces: Sequence[str],
        interval: float,
        pulse: Pulse,
    ) -> None:
        self._kubernetes = kubernetes
        self._registry = registry
        self._namespaces = namespaces
        self._interval = interval
        self._pulse = pulse

    async def first(self) -> None:
        """Fill the registry before the first reconcile; waits for as long as the API server or the CRD is
        missing.
        """
        while True:
            self._pulse.beat()
            try:
                bodies = await list_queuejobs(self._kubernetes, self._namespaces)
            except KubernetesError as error:
                log.warning("queuejobs_not_listed", reason=error.message, hint="is the CRD installed?")
                await asyncio.sleep(_FIRST_LIST_RETRY)
                continue
            for body in bodies:
                self._registry.put_job(body)
            return

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                missed = await self._missed_by_the_watch()
            except KubernetesError as error:
                log.warning("queuejobs_not_listed", reason=error.message)
                missed = []
            if not missed:
                self._pulse.beat()
            for body in missed:
                log.error("watch_missed_queuejob", queuejob="/".join(key_of(body)))
                self._registry.put_job(body)

    async def _missed_by_the_watch(self) -> list[Body]:
        before = set(self._registry.keys)
        bodies = await list_queuejobs(self._kubernetes, self._namespaces)
        missed = [body for body in bodies if self._registry.is_news(body)]
        # Only what was known before the list was asked for and is not in it: later ones may be newer than the
        # list.
        gone = before - {key_of(body) for body in bodies}
        if missed or gone:
            await asyncio.sleep(_GRACE)
        for key in gone & set(self._registry.keys):
            log.error("watch_missed_deletion", queuejob="/".join(key))
            self._registry.remove_job(key)
        return [body for body in missed if self._registry.is_news(body)]
