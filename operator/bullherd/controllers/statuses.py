"""The status of QueueJobs and the Events that go with it.

One write per cycle at most, at once for a transition and every ten seconds for mere numbers; Events only
after the write, and only for transitions. What was written last is remembered here; for a new leader it is
what stands in the resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import structlog

from bullherd.api import Condition, ConditionStatus, InvalidQueueJob, QueueJob, QueueJobStatus
from bullherd.controllers.registry import JobKey
from bullherd.core.conditions import Finding, conditions_from, transitions
from bullherd.core.reconcile import READY, Observed, Plan
from bullherd.core.scaling import ScaleIn
from bullherd.core.status import scale_in_of, status_of, write_due
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
    write. ``untold``: scalings that it does not tell of yet.
    """

    uid: str
    status: QueueJobStatus | None
    scale_in: ScaleIn | None
    last_scale_at: datetime | None
    at: float = 0.0
    untold: list[_Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Replicas before and after a cycle."""

    before: int
    after: int

    @property
    def direction(self) -> Literal["up", "down"] | None:
        """None when nothing changed."""
        return None if self.before == self.after else "up" if self.after > self.before else "down"


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

    def tells(self, key: JobKey, job: QueueJob, reason: str) -> bool:
        """Whether the last status that was written says that the QueueJob is not ready for this reason."""
        status = self._memory(key, job).status
        ready = status.condition(READY) if status else None
        return ready is not None and (ready.status, ready.reason) == (ConditionStatus.FALSE, reason)

    async def write(
        self, key: JobKey, observed: Observed, plan: Plan, scaling: Scaling, now: float
    ) -> float | None:
        """Write what this cycle found, if it is due; else return the seconds until it is."""
        memory = self._memory(key, observed.job)
        memory.scale_in = plan.scale_in
        if scaling.direction is not None:
            memory.last_scale_at = datetime.fromtimestamp(now, UTC)
            memory.untold.append(_scaled(scaling, plan))
            self._count(key, scaling, plan)
        previous = memory.status.conditions if memory.status else ()
        conditions = conditions_from(plan.findings, previous, observed.job.metadata.generation, now)
        status = status_of(observed, plan, conditions, memory.last_scale_at)
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
            last_scale_at = job.status.last_scale_time if job.status else None
            memory = self._written[key] = _Written(
                job.metadata.uid, status, scale_in_of(job.status), last_scale_at
            )
        return memory

    def _count(self, key: JobKey, scaling: Scaling, plan: Plan) -> None:
        self._metrics.scalings.labels(*key, scaling.direction).inc()
        log.info(
            "scaled",
            namespace=key[0],
            queuejob=key[1],
            from_replicas=scaling.before,
            to_replicas=scaling.after,
            reason=plan.reason,
        )

    async def _emit(self, job: QueueJob, events: Iterable[_Event], now: float) -> None:
        for type_, reason, message in events:
            try:
                await emit_event(self._kubernetes, job, type_, reason, message, now)
            except KubernetesError as error:
                # An Event is a courtesy: failing to write one must not repeat the cycle.
                log.warning("event_not_written", namespace=job.metadata.namespace, reason=error.message)


def _changes(changed: Iterable[Finding]) -> Iterator[_Event]:
    for finding in changed:
        if finding.type == READY and finding.status is not ConditionStatus.UNKNOWN:
            type_: Literal["Normal", "Warning"] = (
                "Warning" if finding.status is ConditionStatus.FALSE else "Normal"
            )
            yield type_, finding.reason, finding.message


def _scaled(scaling: Scaling, plan: Plan) -> _Event:
    reason = "ScaledUp" if scaling.direction == "up" else "ScaledDown"
    return "Normal", reason, f"{scaling.before} to {scaling.after} replicas: {plan.reason}"
