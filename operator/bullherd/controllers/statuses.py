"""The status of QueueJobs and the Events that go with it.

One write per cycle at most, at once for a transition and every ten seconds for mere numbers; Events only
after the write, and only for transitions. What was written last is remembered here; for a new leader it is
what stands in the resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import structlog

from bullherd.api import Condition, ConditionStatus, Engine, InvalidQueueJob, QueueJob, QueueJobStatus
from bullherd.controllers.registry import JobKey
from bullherd.core.changes import Change, with_change
from bullherd.core.conditions import Finding, conditions_from, transitions
from bullherd.core.engine import AUTOSCALER_ACTIVE
from bullherd.core.findings import READY, SCALING_LIMITED
from bullherd.core.observed import Observed
from bullherd.core.reconcile import Plan
from bullherd.core.scaling import ScaleIn
from bullherd.core.status import changes_of, scale_in_of, status_of, write_due
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.events import emit_event
from bullherd.kube.queuejobs import write_conditions, write_status
from bullherd.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)

_Event = tuple[Literal["Normal", "Warning"], str, str]
"""Type, reason and message."""


@dataclass
class _Written:
    """What stands in a resource's status as far as this process knows. ``at``: unix seconds of its own last
    write. ``replicas``: as of the last cycle, None before the first. ``untold``: scalings that it does not
    tell of yet.
    """

    uid: str
    status: QueueJobStatus | None
    scale_in: ScaleIn | None
    changes: tuple[Change, ...]
    replicas: int | None = None
    at: float = 0.0
    untold: list[_Event] = field(default_factory=list)


class StatusWriter:
    """Writes statuses and Events, and keeps the wait to shrink between cycles."""

    def __init__(self, kubernetes: Kubernetes, metrics: OperatorMetrics) -> None:
        self._kubernetes = kubernetes
        self._metrics = metrics
        self._written: dict[JobKey, _Written] = {}
        self._invalid: dict[JobKey, tuple[str, int]] = {}

    def forget(self, key: JobKey) -> None:
        """The QueueJob is gone, or is another one of the same name."""
        self._written.pop(key, None)
        self._invalid.pop(key, None)

    def scale_in(self, key: JobKey, job: QueueJob) -> ScaleIn | None:
        """The wait to shrink that is under way."""
        return self._memory(key, job).scale_in

    def grown_at(self, key: JobKey, job: QueueJob) -> float | None:
        """When replicas were last added, unix seconds; None if no change that is remembered was a growth."""
        return next((one.at for one in self._memory(key, job).changes if one.grows), None)

    def tells(self, key: JobKey, job: QueueJob, reason: str) -> bool:
        """Whether the last status that was written says that the QueueJob is not ready for this reason."""
        status = self._memory(key, job).status
        ready = status.condition(READY) if status else None
        return ready is not None and (ready.status, ready.reason) == (ConditionStatus.FALSE, reason)

    async def write(
        self, key: JobKey, observed: Observed, plan: Plan, before: int, now: float
    ) -> float | None:
        """Write what this cycle found, if it is due; else return the seconds until it is.

        ``before``: the replicas at the begin of the cycle, ``observed`` has those at its end.
        """
        memory = self._memory(key, observed.job)
        memory.scale_in = plan.scale_in
        self._note_replicas(key, memory, plan, before, observed.replicas, now)
        previous = memory.status.conditions if memory.status else ()
        conditions = conditions_from(plan.findings, previous, observed.job.metadata.generation, now)
        status = status_of(observed, plan, conditions, memory.changes)
        due = write_due(memory.status, status, memory.at, now)
        if due is None or due > 0:
            return due
        try:
            await write_status(self._kubernetes, observed.job, status)
        except KubernetesError as error:
            if error.missing:
                return None
            raise
        memory.status, memory.at = status, now
        self._invalid.pop(key, None)
        events = [*_changes(transitions(plan.findings, previous)), *memory.untold]
        memory.untold.clear()
        await self._emit(observed.job, events, now)
        return None

    async def report_invalid(
        self, key: JobKey, uid: str, generation: int, invalid: InvalidQueueJob, now: float
    ) -> None:
        """Say in a condition what is wrong with a QueueJob that does not parse. What runs is left alone."""
        if self._invalid.get(key) == (uid, generation):
            return
        message = f"Bullherd cannot use this QueueJob: {invalid}."
        finding = Finding(READY, ConditionStatus.FALSE, "Invalid", message)
        memory = self._written.get(key)
        previous: tuple[Condition, ...] = memory.status.conditions if memory and memory.status else ()
        conditions = conditions_from([finding], previous, generation, now)
        try:
            await write_conditions(self._kubernetes, *key, conditions)
        except KubernetesError as error:
            if error.missing:
                return
            raise
        log.warning("queuejob_invalid", namespace=key[0], queuejob=key[1], problems=invalid.problems)
        self.forget(key)
        self._invalid[key] = (uid, generation)

    def _memory(self, key: JobKey, job: QueueJob) -> _Written:
        memory = self._written.get(key)
        if memory is None or memory.uid != job.metadata.uid:
            # Mended perhaps before it was called invalid: then what the watch brought is not what stands.
            status = job.status if key not in self._invalid else None
            memory = self._written[key] = _Written(
                job.metadata.uid, status, scale_in_of(job.status), changes_of(job.status)
            )
        return memory

    def _note_replicas(
        self, key: JobKey, memory: _Written, plan: Plan, before: int, after: int, now: float
    ) -> None:
        """Tell of what others did since the last cycle (the HPA, a person), and of what this one did."""
        others = plan.reason if plan.engine is Engine.HPA else f"not by Bullherd; {plan.reason}"
        steps = ((memory.replicas, before, others), (before, after, plan.reason))
        memory.replicas = after
        for old, new, reason in steps:
            if old is None or old == new:
                continue
            change = Change(now, old, new, reason)
            memory.changes = with_change(memory.changes, change)
            memory.untold.append(_scaled(change))
            self._metrics.scalings.labels(*key, "up" if change.grows else "down").inc()
            log.info(
                "scaled",
                namespace=key[0],
                queuejob=key[1],
                from_replicas=old,
                to_replicas=new,
                reason=reason,
            )

    async def _emit(self, job: QueueJob, events: Iterable[_Event], now: float) -> None:
        for type_, reason, message in events:
            try:
                await emit_event(self._kubernetes, job, type_, reason, message, now)
            except KubernetesError as error:
                # An Event is a courtesy: failing to write one must not repeat the cycle.
                log.warning("event_not_written", namespace=job.metadata.namespace, reason=error.message)


_WORTH_TELLING = {
    READY: (ConditionStatus.TRUE, ConditionStatus.FALSE),
    AUTOSCALER_ACTIVE: (ConditionStatus.FALSE,),
    SCALING_LIMITED: (ConditionStatus.TRUE,),
}
"""Which conditions deserve an Event when they become so."""


def _changes(changed: Iterable[Finding]) -> Iterator[_Event]:
    for finding in changed:
        if finding.status in _WORTH_TELLING.get(finding.type, ()):
            is_bad = finding.status is not ConditionStatus.TRUE
            type_: Literal["Normal", "Warning"] = "Warning" if is_bad else "Normal"
            yield type_, finding.reason, finding.message


def _scaled(change: Change) -> _Event:
    reason = "ScaledUp" if change.grows else "ScaledDown"
    return "Normal", reason, f"{change.before} to {change.after} replicas: {change.reason}"
