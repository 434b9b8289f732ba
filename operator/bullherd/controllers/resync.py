"""The safety net under the watches: a full list of the QueueJobs every minute.

A watch can fall silent without an error. What the list shows and no watch brought within a grace is taken
from the list, so nothing waits for ever; and the pulse of the watch is only beaten when it had brought
everything, so ``/healthz`` fails after a few such rounds and the kubelet restarts the process. "Everything"
is also what changed in status alone: that is not worth taking from the list, so a watch that is silent stays
behind and is found out even if people change nothing any more. A list that fails proves nothing about the
watch, nor about what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bullherd.controllers.registry import JobKey, Registry, key_of
from bullherd.kube.client import Kubernetes, KubernetesError
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
                watch_is_whole = await self._compare()
            except KubernetesError as error:
                log.warning("queuejobs_not_listed", reason=error.message)
                watch_is_whole = True
            if watch_is_whole:
                self._pulse.beat()

    async def _compare(self) -> bool:
        """Mend the registry where the watch left it behind; whether the watch had brought everything."""
        before = {key: self._uid(key) for key in self._registry.keys}
        bodies = await list_queuejobs(self._kubernetes, self._namespaces)
        listed = {key_of(body) for body in bodies}
        if any(map(self._registry.is_behind, bodies)) or before.keys() - listed:
            await asyncio.sleep(_GRACE)
        behind = [body for body in bodies if self._registry.is_behind(body)]
        # Only what was known before the list was asked for, is not in it, and was not made anew since.
        gone = [key for key, uid in before.items() if key not in listed and self._uid(key) == uid]
        for body in filter(self._registry.is_news, behind):
            log.error("watch_missed_queuejob", queuejob="/".join(key_of(body)))
            self._registry.put_job(body)
        for key in gone:
            log.error("watch_missed_deletion", queuejob="/".join(key))
            self._registry.remove_job(key)
        return not behind and not gone

    def _uid(self, key: JobKey) -> str | None:
        known = self._registry.job(key)
        return known.uid if known else None
