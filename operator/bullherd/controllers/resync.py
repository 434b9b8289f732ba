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
from dataclasses import dataclass, field
from itertools import chain

import structlog

from bullherd.controllers.registry import JobKey, Registry, key_of
from bullherd.kube.client import Body, Kubernetes, KubernetesError
from bullherd.kube.queuejobs import list_queuejobs
from bullherd.telemetry.health import Pulse

log = structlog.get_logger(__name__)

_GRACE = 5.0
"""Seconds that a watch may be behind a list."""

_FIRST_LIST_RETRY = 2.0


_HINTS = {
    403: "may its ServiceAccount list queuejobs there? The chart's watchNamespaces grants it",
    404: "is the CRD installed?",
}


@dataclass
class _Lists:
    """QueueJobs by namespace, without those that could not be listed. ``to_wait_for``: one of them for a
    reason that should pass.
    """

    bodies: dict[str | None, list[Body]] = field(default_factory=dict)
    to_wait_for: bool = False


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
        self._listed: set[str | None] = set()

    def watches(self, namespace: str) -> bool:
        """Whether QueueJobs of this namespace are looked at."""
        return not self._namespaces or namespace in self._namespaces

    def has_listed(self, namespace: str) -> bool:
        """Whether the QueueJobs of this namespace could be listed at least once."""
        return bool(self._listed & {namespace, None})

    async def first(self) -> None:
        """Fill the registry before the first reconcile; waits for as long as the API server or the CRD is
        missing. A namespace without rights holds up no other: its QueueJobs come with the watch, once they
        may be seen.
        """
        while True:
            self._pulse.beat()
            lists = await self._list()
            for body in chain.from_iterable(lists.bodies.values()):
                self._registry.put_job(body)
            if lists.bodies and not lists.to_wait_for:
                return
            await asyncio.sleep(_FIRST_LIST_RETRY)

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            if await self._compare():
                self._pulse.beat()

    async def _compare(self) -> bool:
        """Mend the registry where the watch left it behind; whether the watch had brought everything."""
        before = {key: self._uid(key) for key in self._registry.keys}
        lists = await self._list()
        bodies = list(chain.from_iterable(lists.bodies.values()))
        # Of a namespace that was not listed nothing is known to be gone.
        before = {key: uid for key, uid in before.items() if lists.bodies.keys() & {key[0], None}}
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

    async def _list(self) -> _Lists:
        """Each namespace that is watched; None stands for all of the cluster."""
        lists = _Lists()
        for namespace in self._namespaces or (None,):
            try:
                lists.bodies[namespace] = await list_queuejobs(self._kubernetes, namespace)
                self._listed.add(namespace)
            except KubernetesError as error:
                lists.to_wait_for |= not error.forbidden
                hint = _HINTS.get(error.status)
                log.warning("queuejobs_not_listed", namespace=namespace, reason=error.message, hint=hint)
        return lists

    def _uid(self, key: JobKey) -> str | None:
        known = self._registry.job(key)
        return known.uid if known else None
