"""A QueueJob's status as it is written, and when writing it is worth a request."""

from __future__ import annotations

from datetime import UTC, datetime

from bullherd.api import Condition, QueueCounts, QueueJobStatus, ScalingChange, ScalingStatus
from bullherd.api import ScaleIn as ScaleInStatus
from bullherd.core.changes import Change
from bullherd.core.observed import Observed
from bullherd.core.reconcile import Plan
from bullherd.core.scaling import ScaleIn
from bullherd.core.snapshot import QueueSnapshot

COUNTS_INTERVAL = 10.0
"""Seconds between two writes of a status in which only numbers moved."""


def status_of(
    observed: Observed, plan: Plan, conditions: tuple[Condition, ...], changes: tuple[Change, ...]
) -> QueueJobStatus:
    """The whole status. A field that is None is not known now, and is removed where it stood."""
    live, snapshot = observed.workers, observed.snapshot
    age = snapshot.oldest_item_age if snapshot else None
    return QueueJobStatus(
        observed_generation=observed.job.metadata.generation,
        backlog=snapshot.backlog if snapshot else None,
        counts=_counts(snapshot) if snapshot else None,
        replicas=live.existing_replicas if live else 0,
        ready_replicas=live.ready_replicas if live else 0,
        scaling=_scaling(plan, changes),
        oldest_item_age_seconds=None if age is None else int(age),
        paused=snapshot.paused if snapshot else None,
        snapshot_time=_moment(snapshot.taken_at) if snapshot else None,
        bullmq_version=snapshot.bullmq_version if snapshot else None,
        conditions=conditions,
    )


def write_due(
    written: QueueJobStatus | None, fresh: QueueJobStatus, written_at: float, now: float
) -> float | None:
    """Seconds until ``fresh`` should be written: 0 for a transition, None when it says nothing new."""
    if written is None or _transition_parts(written) != _transition_parts(fresh):
        return 0.0
    if _without_clock(written) == _without_clock(fresh):
        return None
    return max(0.0, written_at + COUNTS_INTERVAL - now)


def scale_in_of(status: QueueJobStatus | None) -> ScaleIn | None:
    """The wait to shrink that an earlier operator left in the status."""
    wait = status.scaling.scale_in if status and status.scaling else None
    if wait is None or wait.since is None or wait.peak is None:
        return None
    return ScaleIn(wait.since.timestamp(), wait.peak)


def changes_of(status: QueueJobStatus | None) -> tuple[Change, ...]:
    """The changes of replicas that an earlier operator told of, newest first."""
    told = status.scaling.changes if status and status.scaling else ()
    return tuple(
        Change(change.time.timestamp(), change.from_, change.to, change.reason or "")
        for change in told
        if change.time is not None and change.from_ is not None and change.to is not None
    )


def _scaling(plan: Plan, changes: tuple[Change, ...]) -> ScalingStatus:
    wait = plan.scale_in
    return ScalingStatus(
        engine=plan.engine.value if plan.engine else None,
        desired_replicas=plan.desired_replicas,
        reason=plan.reason,
        scale_in=ScaleInStatus(since=_moment(wait.since), peak=wait.peak) if wait else None,
        changes=tuple(
            ScalingChange(time=_moment(one.at), from_=one.before, to=one.after, reason=one.reason)
            for one in changes
        ),
    )


def _counts(snapshot: QueueSnapshot) -> QueueCounts:
    return QueueCounts(
        waiting=snapshot.waiting,
        prioritized=snapshot.prioritized,
        paused=snapshot.paused_list,
        delayed=snapshot.delayed,
        delayed_due=snapshot.delayed_due,
        active=snapshot.active,
        waiting_children=snapshot.waiting_children,
        completed=snapshot.completed,
        failed=snapshot.failed,
    )


def _transition_parts(status: QueueJobStatus) -> tuple[object, ...]:
    scaling = status.scaling or ScalingStatus()
    return (
        status.observed_generation,
        scaling.engine,
        scaling.desired_replicas,
        scaling.changes,
        status.replicas,
        status.ready_replicas,
        status.paused,
        {(c.type, c.status, c.reason) for c in status.conditions},
    )


def _without_clock(status: QueueJobStatus) -> QueueJobStatus:
    """An idle queue is read every second; that alone is no news."""
    return status.model_copy(update={"snapshot_time": None})


def _moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
