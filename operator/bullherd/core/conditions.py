"""Findings about a QueueJob, and how they become status conditions without losing their transition times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bullherd.api import Condition, ConditionStatus


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reconcile found to be so or not. ``message`` is a sentence that says what to do when
    it is bad.
    """

    type: str
    status: ConditionStatus
    reason: str
    message: str


def conditions_from(
    findings: Iterable[Finding], previous: Iterable[Condition], generation: int, now: float
) -> tuple[Condition, ...]:
    """Conditions ready to be written; the transition time moves only where the status changed."""
    before = {condition.type: condition for condition in previous}
    return tuple(_condition(finding, before.get(finding.type), generation, now) for finding in findings)


def _condition(finding: Finding, before: Condition | None, generation: int, now: float) -> Condition:
    since = datetime.fromtimestamp(now, UTC)
    if before is not None and before.status == finding.status:
        since = before.last_transition_time
    return Condition(
        type=finding.type,
        status=finding.status,
        reason=finding.reason,
        message=finding.message,
        last_transition_time=since,
        observed_generation=generation,
    )


def transitions(findings: Iterable[Finding], previous: Iterable[Condition]) -> tuple[Finding, ...]:
    """Those findings whose status or reason differs from before: what deserves an Event."""
    before = {condition.type: (condition.status, condition.reason) for condition in previous}
    return tuple(f for f in findings if before.get(f.type) != (f.status, f.reason))
