"""What is written to a status comes back as it was. Needs nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bullherd.api import (
    Condition,
    ConditionStatus,
    QueueCounts,
    QueueJob,
    QueueJobStatus,
    ScaleIn,
    ScalingChange,
    ScalingStatus,
)
from bullherd.api.base import ApiModel
from tests.unit.api.cases import queuejob

Model = TypeVar("Model", bound=ApiModel)
PRAGUE = timezone(timedelta(hours=1))


def made(model: type[Model], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Model]:
    return st.fixed_dictionaries(fields).map(lambda drawn: model(**drawn))


counts = st.none() | st.integers(0, 2**63 - 1)
replicas = st.none() | st.integers(0, 2**31 - 1)
moments = st.floats(0, 7e9).map(lambda seconds: datetime.fromtimestamp(seconds, PRAGUE))
words = st.from_regex(r"[A-Za-z]([A-Za-z0-9_]{0,20}[A-Za-z0-9])?", fullmatch=True)

conditions = made(
    Condition,
    type=words,
    status=st.sampled_from(ConditionStatus),
    reason=words,
    message=st.text(max_size=80),
    last_transition_time=moments,
    observed_generation=counts,
)
changes = made(
    ScalingChange,
    time=st.none() | moments,
    from_=replicas,
    to=replicas,
    reason=st.none() | st.text(max_size=80),
)
scalings = made(
    ScalingStatus,
    engine=st.sampled_from([None, "HPA", "Direct"]),
    desired_replicas=replicas,
    reason=st.none() | st.text(max_size=80),
    scale_in=st.none() | made(ScaleIn, since=st.none() | moments, peak=replicas),
    changes=st.lists(changes, max_size=3).map(tuple),
)
statuses = made(
    QueueJobStatus,
    observed_generation=counts,
    backlog=counts,
    counts=st.none() | made(QueueCounts, **dict.fromkeys(QueueCounts.model_fields, counts)),
    replicas=replicas,
    ready_replicas=replicas,
    scaling=st.none() | scalings,
    oldest_item_age_seconds=counts,
    paused=st.none() | st.booleans(),
    snapshot_time=st.none() | moments,
    bullmq_version=st.none() | st.text(max_size=20),
    conditions=st.lists(conditions, max_size=3, unique_by=lambda condition: condition.type).map(tuple),
)


@given(statuses)
def test_a_status_survives_the_way_to_the_api_server_and_back(status: QueueJobStatus) -> None:
    body = queuejob() | {"status": json.loads(json.dumps(status.to_dict()))}
    assert QueueJob.parse(body).status == status


def test_what_is_unknown_is_not_written() -> None:
    assert QueueJobStatus(backlog=0, counts=QueueCounts(waiting=0)).to_dict() == {
        "backlog": 0,
        "counts": {"waiting": 0},
        "conditions": [],
    }


def test_what_was_not_written_is_unknown_not_zero() -> None:
    status = QueueJob.parse(queuejob() | {"status": {"counts": {"waiting": 3}}}).status
    assert status is not None
    assert status.counts is not None
    assert (status.backlog, status.counts.waiting, status.counts.failed) == (None, 3, None)


def condition(**fields: object) -> Condition:
    defaults = {
        "type": "Ready",
        "status": ConditionStatus.TRUE,
        "reason": "Scaling",
        "message": "All is well.",
        "last_transition_time": datetime(2026, 11, 24, 3, tzinfo=UTC),
    }
    return Condition.model_validate(defaults | fields)


def test_times_are_written_as_kubernetes_writes_them() -> None:
    written = condition(
        last_transition_time=datetime(2026, 11, 24, 4, 5, 6, 789_000, tzinfo=PRAGUE)
    ).to_dict()
    assert written["lastTransitionTime"] == "2026-11-24T03:05:06Z"


def test_a_cooldown_is_measured_from_the_very_moment() -> None:
    since = datetime(2026, 11, 24, 3, 5, 6, 789_000, tzinfo=UTC)
    assert ScaleIn(since=since, peak=1).to_dict() == {"since": "2026-11-24T03:05:06.789000Z", "peak": 1}


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        condition(last_transition_time=datetime(2026, 11, 24))  # noqa: DTZ001


def test_a_message_that_is_too_long_for_a_condition_is_cut() -> None:
    assert len(condition(message="x" * 40_000).message) == 32_768


@pytest.mark.parametrize("reason", ["", "two words", "1st"])
def test_a_reason_is_one_word(reason: str) -> None:
    with pytest.raises(ValidationError):
        condition(reason=reason)


def test_finds_a_condition_by_its_type() -> None:
    ready = condition()
    status = QueueJobStatus(conditions=(condition(type="RedisReachable"), ready))
    assert status.condition("Ready") is ready
    assert status.condition("Unheard") is None
