"""What the watches brought: every QueueJob, every worker Deployment and HPA, and who claims which queue.

Filled by the handlers and by the resync, read by the reconcile. Objects never go backwards: one that is older
than what is known (a watch event that was overtaken by the answer to our own request) is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from bullherd.api import InvalidQueueJob, QueueJob
from bullherd.core.autoscaler import AutoscalerState
from bullherd.core.claims import QueueClaim, ServedQueue, rival_of
from bullherd.core.hold import HOLD_ANNOTATION
from bullherd.core.observed import DeploymentState
from bullherd.kube.autoscalers import autoscaler_state
from bullherd.kube.deployments import deployment_state

State = TypeVar("State")

JobKey = tuple[str, str]
"""Namespace and name, of a QueueJob and so of its Deployment."""


def key_of(body: Mapping[str, Any]) -> JobKey:
    """The key of any namespaced object."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _asks(body: Mapping[str, Any]) -> tuple[str, int, str | None]:
    metadata = body["metadata"]
    hold = (metadata.get("annotations") or {}).get(HOLD_ANNOTATION)
    return metadata["uid"], metadata.get("generation", 0), hold


def _version(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion", 0))


@dataclass(frozen=True, slots=True)
class KnownQueueJob:
    """A QueueJob as it was seen last; ``job`` is what is wrong with it when it does not parse. ``created``:
    unix seconds. ``hold``: its annotation that holds the replicas.
    """

    version: int
    uid: str
    generation: int
    hold: str | None
    created: float
    job: QueueJob | InvalidQueueJob

    @property
    def asks(self) -> tuple[str, int, str | None]:
        """What changes when somebody wants something else of it."""
        return self.uid, self.generation, self.hold

    @property
    def is_being_deleted(self) -> bool:
        """Somebody asked to delete it, and it stays only until what depends on it is gone."""
        return isinstance(self.job, QueueJob) and self.job.metadata.deletion_timestamp is not None


class Children(Generic[State]):
    """Objects of one kind that QueueJobs have, named like them, each as it was seen last. ``wake`` is called
    for the QueueJob of one that changed in anything that matters.
    """

    def __init__(
        self, state_of: Callable[[Mapping[str, Any]], State], wake: Callable[[JobKey], None]
    ) -> None:
        self._state_of = state_of
        self._wake = wake
        self._known: dict[JobKey, tuple[int, State]] = {}

    def get(self, key: JobKey) -> State | None:
        """The object of that name, if a watch or an answer brought it."""
        known = self._known.get(key)
        return known[1] if known else None

    def put(self, body: Mapping[str, Any]) -> State:
        """Take an object; what is known stays if this one is older."""
        key, version = key_of(body), _version(body)
        known = self._known.get(key)
        if known is not None and version < known[0]:
            return known[1]
        fresh = self._state_of(body)
        self._known[key] = (version, fresh)
        if known is None or known[1] != fresh:
            self._wake(key)
        return fresh

    def remove(self, key: JobKey) -> None:
        """An object is gone."""
        if self._known.pop(key, None) is not None:
            self._wake(key)


class Registry:
    """The operator's view of the cluster. ``wake`` is called for each QueueJob that something changed for."""

    def __init__(self, wake: Callable[[JobKey], None]) -> None:
        self._wake = wake
        self._jobs: dict[JobKey, KnownQueueJob] = {}
        self.deployments: Children[DeploymentState] = Children(deployment_state, wake)
        self.autoscalers: Children[AutoscalerState] = Children(autoscaler_state, wake)
        self._claims: dict[JobKey, QueueClaim] = {}
        self._claimants: dict[ServedQueue, set[JobKey]] = {}

    @property
    def keys(self) -> list[JobKey]:
        """All known QueueJobs."""
        return list(self._jobs)

    def job(self, key: JobKey) -> KnownQueueJob | None:
        """A QueueJob, or None when it is gone."""
        return self._jobs.get(key)

    def put_job(self, body: Mapping[str, Any]) -> None:
        """Take a QueueJob; it is woken when it is new or asks for something else (not for status alone)."""
        key, metadata = key_of(body), body["metadata"]
        known = self._jobs.get(key)
        if known is not None and _version(body) < known.version:
            return
        job: QueueJob | InvalidQueueJob
        try:
            job = QueueJob.parse(body)
        except InvalidQueueJob as invalid:
            job = invalid
        created = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
        fresh = KnownQueueJob(_version(body), *_asks(body), created, job)
        self._jobs[key] = fresh
        if known is not None and known.uid != fresh.uid:
            self.claim(key, None)
        if known is None or known.asks != fresh.asks:
            self._wake(key)

    def is_behind(self, body: Mapping[str, Any]) -> bool:
        """Whether this QueueJob is newer than what is known of it, if only in its status."""
        known = self._jobs.get(key_of(body))
        return known is None or _version(body) > known.version

    def is_news(self, body: Mapping[str, Any]) -> bool:
        """Whether this QueueJob is newer than what is known of it, in more than its status."""
        known = self._jobs.get(key_of(body))
        return self.is_behind(body) and (known is None or known.asks != _asks(body))

    def remove_job(self, key: JobKey) -> None:
        """A QueueJob is gone, and its claim with it."""
        self._jobs.pop(key, None)
        self.claim(key, None)
        self._wake(key)

    def claim(self, key: JobKey, claim: QueueClaim | None) -> None:
        """Note which queue a QueueJob wants. Those that share the old or the new queue are woken."""
        before = self._claims.get(key)
        if before == claim:
            return
        if before is not None:
            del self._claims[key]
            others = self._claimants[before.served]
            others.discard(key)
            if not others:
                del self._claimants[before.served]
            self._wake_all(others)
        if claim is not None:
            self._claims[key] = claim
            claimants = self._claimants.setdefault(claim.served, set())
            self._wake_all(claimants)
            claimants.add(key)

    def has_claim(self, key: JobKey) -> bool:
        """Whether a QueueJob's claim is noted."""
        return key in self._claims

    def rival_of(self, claim: QueueClaim) -> QueueClaim | None:
        """The older QueueJob that has this queue, if there is one."""
        claimants = self._claimants.get(claim.served, ())
        return rival_of(claim, [self._claims[key] for key in claimants])

    def _wake_all(self, keys: Iterable[JobKey]) -> None:
        for key in keys:
            self._wake(key)
