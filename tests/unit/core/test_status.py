"""When a status is worth a request, and what stands in it. Needs nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bullherd.api import QueueCounts, QueueJobStatus, ScalingChange, ScalingStatus
from bullherd.api import ScaleIn as ScaleInStatus
from bullherd.core.changes import MOST, Change, with_change
from bullherd.core.conditions import conditions_from
from bullherd.core.observed import Observed
from bullherd.core.reconcile import decide
from bullherd.core.scaling import ScaleIn
from bullherd.core.status import COUNTS_INTERVAL, changes_of, scale_in_of, status_of, write_due
from tests.unit.builders import NOW, PREFIX, connection, deployment, job, snapshot


def observed(**fields: Any) -> Observed:
    known: dict[str, Any] = {"snapshot": snapshot(waiting=3), "deployment": deployment(job(), 3)}
    return Observed(job=job(), connection=connection(), **known | fields)


def status(seen: Observed | None = None, **changes: Any) -> QueueJobStatus:
    seen = seen or observed()
    plan = decide(seen, PREFIX, NOW)
    fresh = status_of(seen, plan, conditions_from(plan.findings, (), 1, NOW), ())
    return fresh.model_copy(update=changes)


def scaled(**changes: Any) -> QueueJobStatus:
    scaling = status().scaling
    assert scaling is not None
    return status(scaling=scaling.model_copy(update=changes))


WRITTEN = status()
NOT_READY = tuple(
    c.model_copy(update={"status": "False", "reason": "QueueTaken"}) for c in WRITTEN.conditions
)

ROWS = [
    ("nothing stands there yet: at once", None, WRITTEN, 0.0),
    ("nothing is new: never", WRITTEN, WRITTEN, None),
    ("only the time of the look is new: never", WRITTEN, status(snapshot_time=datetime.now(UTC)), None),
    ("numbers of the queue moved: when the interval is over", WRITTEN, status(backlog=9), 7.0),
    ("counts moved: when the interval is over", WRITTEN, status(counts=QueueCounts(failed=1)), 7.0),
    ("the reason reads otherwise: when the interval is over", WRITTEN, scaled(reason="else"), 7.0),
    ("the message of a condition reads otherwise: when the interval is over", WRITTEN,
     status(conditions=tuple(c.model_copy(update={"message": "else"}) for c in WRITTEN.conditions)), 7.0),
    ("the replicas wanted changed: at once", WRITTEN, scaled(desired_replicas=4), 0.0),
    ("replicas were set right that others had changed: at once", WRITTEN,
     scaled(changes=(ScalingChange(time=datetime.fromtimestamp(NOW, UTC)),)), 0.0),
    ("another engine is in charge: at once", WRITTEN, scaled(engine="HPA"), 0.0),
    ("the replicas that there are changed: at once", WRITTEN, status(replicas=2), 0.0),
    ("the replicas that are ready changed: at once", WRITTEN, status(ready_replicas=2), 0.0),
    ("the queue was paused: at once", WRITTEN, status(paused=True), 0.0),
    ("a condition changed: at once", WRITTEN, status(conditions=NOT_READY), 0.0),
    ("a condition came: at once", WRITTEN.model_copy(update={"conditions": ()}), WRITTEN, 0.0),
    ("it is about a newer spec: at once", WRITTEN, status(observed_generation=2), 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "written", "fresh", "due"), ROWS, ids=[row[0] for row in ROWS])
def test_write_due(name: str, written: QueueJobStatus | None, fresh: QueueJobStatus, due: float) -> None:
    assert write_due(written, fresh, written_at=NOW - 3, now=NOW) == due, name


def test_numbers_are_written_at_once_when_the_last_write_is_long_ago() -> None:
    fresh = status(backlog=9)
    assert write_due(WRITTEN, fresh, NOW - COUNTS_INTERVAL, NOW) == 0.0
    assert write_due(WRITTEN, fresh, NOW - 3600, NOW) == 0.0


def test_a_queue_that_was_never_read_has_no_numbers() -> None:
    unread = status(observed(snapshot=None))
    assert unread.counts is None
    assert unread.backlog is None
    assert unread.paused is None
    assert unread.snapshot_time is None
    assert unread.oldest_item_age_seconds is None


def test_a_queue_that_cannot_be_read_now_keeps_its_last_numbers() -> None:
    held = status(observed(redis_problem="Redis at redis:6379/0 cannot be used: it is away."))
    assert held.backlog == 3
    assert desired(held) == 3


def test_the_numbers_of_a_queue() -> None:
    queue = snapshot(
        waiting=1,
        prioritized=2,
        paused_list=3,
        delayed=9,
        delayed_due=4,
        active=5,
        waiting_children=6,
        completed=7,
        failed=8,
        oldest_item_at=NOW - 12.7,
        bullmq_version="5.81.5",
    )
    told = status(observed(snapshot=queue))
    assert told.counts == QueueCounts(
        waiting=1,
        prioritized=2,
        paused=3,
        delayed=9,
        delayed_due=4,
        active=5,
        waiting_children=6,
        completed=7,
        failed=8,
    )
    assert told.backlog == 1 + 2 + 3 + 4 + 5
    assert told.oldest_item_age_seconds == 12
    assert told.bullmq_version == "5.81.5"
    assert told.snapshot_time == datetime.fromtimestamp(NOW, UTC)


def desired(told: QueueJobStatus) -> int | None:
    return told.scaling.desired_replicas if told.scaling else None


def test_the_last_changes_are_told_newest_first() -> None:
    changes: tuple[Change, ...] = ()
    for number in range(MOST + 5):
        changes = with_change(changes, Change(NOW + number, number, number + 1, "more"))
    assert [change.before for change in changes] == list(range(MOST + 4, 4, -1))


def test_replicas_are_zero_when_there_is_no_deployment() -> None:
    nothing = status(observed(deployment=None, snapshot=snapshot()))
    assert (nothing.replicas, nothing.ready_replicas, desired(nothing)) == (0, 0, 0)


def test_pods_that_there_are_and_pods_that_are_wanted_differ_while_they_start() -> None:
    starting = deployment(job(), 3, existing_replicas=2, ready_replicas=1)
    told = status(observed(deployment=starting))
    assert (desired(told), told.replicas, told.ready_replicas) == (3, 2, 1)


def test_a_wait_to_shrink_goes_through_the_status() -> None:
    seen = observed(snapshot=snapshot(), scale_in=ScaleIn(NOW - 7, 0))
    plan = decide(seen, PREFIX, NOW)
    written = status_of(seen, plan, (), ())
    again = QueueJobStatus.model_validate_json(written.model_dump_json(by_alias=True))
    assert scale_in_of(again) == plan.scale_in == ScaleIn(NOW - 7, 0)


@pytest.mark.parametrize(
    "wait",
    [None, ScaleInStatus(), ScaleInStatus(peak=1), ScaleInStatus(since=datetime.fromtimestamp(NOW, UTC))],
    ids=["none", "empty", "without its beginning", "without its peak"],
)
def test_no_wait_is_made_of_half_a_wait(wait: ScaleInStatus | None) -> None:
    assert scale_in_of(QueueJobStatus(scaling=ScalingStatus(scale_in=wait))) is None


def test_no_status_holds_no_wait() -> None:
    assert scale_in_of(None) is None


def test_what_is_read_back_is_not_written_again() -> None:
    """Times are cut to what the API server keeps, or every new leader would write every status once."""
    now = NOW + 0.123456
    seen = observed(snapshot=replace(snapshot(waiting=3), taken_at=now))
    plan = decide(seen, PREFIX, now)
    changes = (Change(now - 60, 0, 3, "backlog 3"), Change(now - 3600.5, 3, 0, "the queue is empty"))
    written = status_of(seen, plan, conditions_from(plan.findings, (), 1, now), changes)
    read_back = QueueJobStatus.model_validate_json(written.model_dump_json(by_alias=True))
    later = status_of(
        seen,
        plan,
        conditions_from(plan.findings, read_back.conditions, 1, now + 5),
        changes_of(read_back),
    )
    assert write_due(read_back, later, 0.0, now + 5) is None
