"""From findings to conditions: what moves a transition time and what deserves an Event. Needs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bullherd.api import Condition, ConditionStatus
from bullherd.core.conditions import Finding, conditions_from, transitions
from tests.unit.builders import NOW

THEN = datetime.fromtimestamp(NOW, UTC) - timedelta(hours=1)


def found(status: ConditionStatus = ConditionStatus.TRUE, reason: str = "Scaling") -> Finding:
    return Finding("Ready", status, reason, "In other words.")


def stood(status: ConditionStatus = ConditionStatus.TRUE, reason: str = "Scaling") -> Condition:
    return Condition(
        type="Ready",
        status=status,
        reason=reason,
        message="As it was.",
        last_transition_time=THEN,
        observed_generation=1,
    )


NO, YES, UNKNOWN = ConditionStatus.FALSE, ConditionStatus.TRUE, ConditionStatus.UNKNOWN

ROWS = [
    ("what was never said before is a transition now", found(), None, True, True),
    ("the same again is none", found(), stood(), False, False),
    ("another status is one", found(NO, "QueueTaken"), stood(), True, True),
    ("unknown is a status of its own", found(UNKNOWN, "Starting"), stood(NO, "Starting"), True, True),
    (
        "another reason with the same status keeps the time but is news",
        found(NO, "QueueTaken"),
        stood(NO, "QueueUnreadable"),
        False,
        True,
    ),
]


@pytest.mark.parametrize(("name", "finding", "before", "moves", "news"), ROWS, ids=[row[0] for row in ROWS])
def test_transition(name: str, finding: Finding, before: Condition | None, moves: bool, news: bool) -> None:
    previous = [before] if before else []
    (condition,) = conditions_from([finding], previous, generation=2, now=NOW)
    moved_at = datetime.fromtimestamp(NOW, UTC) if moves else THEN
    assert condition.last_transition_time == moved_at, name
    assert transitions([finding], previous) == ((finding,) if news else ())


def test_message_reason_and_generation_are_those_of_now() -> None:
    (condition,) = conditions_from([found()], [stood()], generation=2, now=NOW)
    assert (condition.message, condition.reason) == ("In other words.", "Scaling")
    assert condition.observed_generation == 2


def test_a_condition_that_nothing_was_found_about_goes_away() -> None:
    assert conditions_from([], [stood()], generation=2, now=NOW) == ()


def test_each_type_has_its_own_time() -> None:
    reachable = Finding("RedisReachable", NO, "ReadFailed", "Away.")
    ready, other = conditions_from([found(), reachable], [stood()], generation=2, now=NOW)
    assert ready.last_transition_time == THEN
    assert other.last_transition_time == datetime.fromtimestamp(NOW, UTC)
