"""The queues of all QueueJobs, read again and again, to be found by namespace and selector.

The reading is the operator's own (``DemandWatch``), without its Lease: every replica reads for itself and
changes nothing in Redis. Two QueueJobs of one queue both have it read here; whose it is matters only to who
makes pods.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import structlog

from bullherd.api import InvalidQueueJob, QueueJob
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.following import RETRY_UNREADABLE, QueueFollower
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.resync import Resync
from bullherd.controllers.server_watch import Reading
from bullherd.core.api_status import Refusal, not_found, unavailable
from bullherd.core.connection import ConnectionProblem
from bullherd.core.external_metrics import QUEUEJOB, MeasuredQueue, labels_of
from bullherd.core.label_selector import LabelSelector
from bullherd.core.policy import ScalingPolicy, policy_of
from bullherd.core.reconcile import queue_of
from bullherd.kube.client import KubernetesError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A QueueJob, without what is read of its queue. ``problem``: why nothing is."""

    key: JobKey
    labels: dict[str, str]
    policy: ScalingPolicy | None
    problem: str | None


class WatchedQueues:
    """All of them; ``follow`` is to be called for every QueueJob that something changed for."""

    def __init__(
        self, registry: Registry, connections: Connections, demand: DemandWatch, resync: Resync
    ) -> None:
        self._registry = registry
        self._resync = resync
        self._follower = QueueFollower(connections, demand)
        self._demand = demand
        self._namespaces: dict[str, dict[str, _Entry]] = {}
        self._news = asyncio.Event()

    async def follow(self, key: JobKey) -> float | None:
        """Have the queue of a QueueJob read as it now says; returns seconds until another look is due."""
        known = self._registry.job(key)
        if known is None or known.is_being_deleted:
            self._forget(key)
            return None
        if isinstance(known.job, InvalidQueueJob):
            self._demand.forget(key)
            self._put(_Entry(key, labels_of(key[1], None), None, str(known.job)))
            return None
        return await self._follow(key, known.job)

    async def follow_all(self) -> None:
        """Follow every known QueueJob once. One that the API server does not answer for now comes later."""
        for key in self._registry.keys:
            try:
                await self.follow(key)
            except KubernetesError as error:
                log.warning("queue_not_followed", namespace=key[0], queuejob=key[1], reason=error.message)

    async def read_once(self) -> None:
        """Return when each queue has been read, or could not be."""
        while any(map(self._is_unread, self._entries())):
            self._news.clear()
            await self._news.wait()

    def seen(self, key: JobKey) -> bool:
        """Note that the queue of a QueueJob shows something new; True when that is that it cannot be read."""
        self._news.set()
        reading = self._demand.reading(key)
        # An empty queue tells by its events when that ends, and need not be read all the time.
        self._demand.set_asleep(key, reading.snapshot is not None and reading.snapshot.backlog == 0)
        return reading.problem is not None

    def refusal(self, namespace: str) -> Refusal | None:
        """Why nobody knows which queues there are in a namespace; None when it is known."""
        if not self._resync.watches(namespace):
            return not_found(
                f"Bullherd does not watch the namespace {namespace!r}; its administrator adds it to the "
                f"chart's watchNamespaces."
            )
        if not self._resync.has_listed(namespace):
            return unavailable(
                f"The QueueJobs of the namespace {namespace!r} could not be listed yet; Bullherd's server "
                f"says in its log why not."
            )
        return None

    def select(self, namespace: str, selector: LabelSelector) -> Iterator[MeasuredQueue]:
        """The selected queues of a namespace, as they were read last."""
        entries = self._namespaces.get(namespace, {})
        names = selector.values_for(QUEUEJOB)
        wanted = entries.values() if names is None else [entries[name] for name in names & entries.keys()]
        for entry in wanted:
            if selector.matches(entry.labels):
                reading = self._demand.reading(entry.key)
                problem = entry.problem or reading.problem
                yield MeasuredQueue(entry.labels, entry.policy, reading.snapshot, problem)

    def oldest_reading_age(self) -> float:
        """Seconds since the read of the queue whose last read is longest ago."""
        now = time.time()
        snapshots = (self._demand.reading(entry.key).snapshot for entry in self._entries())
        return max((now - snapshot.taken_at for snapshot in snapshots if snapshot), default=0.0)

    async def _follow(self, key: JobKey, job: QueueJob) -> float | None:
        connection = await self._follower.connect(key, job)
        problem = connection.message if isinstance(connection, ConnectionProblem) else None
        self._follower.follow(key, job, connection)
        self._put(_Entry(key, labels_of(key[1], queue_of(job)), policy_of(job), problem))
        unreadable = problem is not None or self._demand.reading(key).problem is not None
        return RETRY_UNREADABLE if unreadable else None

    def _put(self, entry: _Entry) -> None:
        namespace, name = entry.key
        self._namespaces.setdefault(namespace, {})[name] = entry

    def _forget(self, key: JobKey) -> None:
        namespace, name = key
        self._demand.forget(key)
        self._news.set()
        entries = self._namespaces.get(namespace, {})
        entries.pop(name, None)
        if not entries:
            self._namespaces.pop(namespace, None)

    def _entries(self) -> Iterator[_Entry]:
        return chain.from_iterable(entries.values() for entries in self._namespaces.values())

    def _is_unread(self, entry: _Entry) -> bool:
        return entry.problem is None and self._demand.reading(entry.key) == Reading()
