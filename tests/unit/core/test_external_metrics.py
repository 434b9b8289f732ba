"""Values of external metrics, and when there are none to give. Needs nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.core.api_status import Refusal
from bullherd.core.demand import demand_of
from bullherd.core.external_metrics import METRICS, MeasuredQueue, labels_of, quantity, values_of
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from tests.unit.builders import NOW, policy, snapshot

BACKLOG = "bullherd_queue_backlog"
STALE_AFTER = 60.0


def measured(
    name: str = "emails", read: QueueSnapshot | None = None, problem: str | None = None, **of_policy: int
) -> MeasuredQueue:
    return MeasuredQueue(labels_of(name, QueueKey("bull", name)), policy(**of_policy), read, problem)


def values(metric: str, *queues: MeasuredQueue, now: float = NOW) -> dict[str, str]:
    """The values by QueueJob."""
    answer = values_of(metric, queues, now, STALE_AFTER)
    assert not isinstance(answer, Refusal), answer
    return {item["metricLabels"]["queuejob"]: item["value"] for item in answer["items"]}


def refusal(*queues: MeasuredQueue, now: float = NOW) -> Refusal:
    answer = values_of(BACKLOG, queues, now, STALE_AFTER)
    assert isinstance(answer, Refusal)
    return answer


FULL = snapshot(
    waiting=5, prioritized=3, paused_list=2, delayed=9, delayed_due=4, active=6, oldest_item_at=NOW - 12.3456
)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("bullherd_queue_backlog", "20"),
        ("bullherd_queue_waiting", "10"),
        ("bullherd_queue_active", "6"),
        ("bullherd_queue_delayed_due", "4"),
        ("bullherd_queue_oldest_item_age_seconds", "12346m"),
    ],
)
def test_value(metric: str, value: str) -> None:
    assert values(metric, measured(read=FULL)) == {"emails": value}


def test_every_metric_of_an_empty_queue_is_nothing() -> None:
    assert {metric: values(metric, measured(read=snapshot())) for metric in METRICS} == {
        metric: {"emails": "0"} for metric in METRICS
    }


@pytest.mark.parametrize(
    "read",
    [FULL, snapshot(waiting=7, active=2, paused=True), snapshot(waiting=7, global_concurrency=2)],
    ids=["plain", "paused", "limited"],
)
def test_the_backlog_is_what_the_operator_goes_by(read: QueueSnapshot) -> None:
    demand = demand_of(policy(items_per_replica=3), read)
    assert values(BACKLOG, measured(read=read, items_per_replica=3)) == {"emails": str(demand.items)}


def test_the_list_has_the_form_that_clients_parse() -> None:
    read = snapshot(waiting=2, taken_at=NOW - 1.5)
    assert values_of(BACKLOG, [measured(read=read)], NOW, STALE_AFTER) == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "bullherd_queue_backlog",
                "metricLabels": {"queuejob": "emails", "queue": "emails", "prefix": "bull"},
                "timestamp": "2027-01-15T07:59:58Z",
                "value": "2",
            }
        ],
    }


def test_nothing_selected_is_an_empty_list() -> None:
    assert values(BACKLOG) == {}


def test_the_last_value_stands_for_a_while() -> None:
    queue = measured(read=snapshot(waiting=5), problem="Redis is away.")
    assert values(BACKLOG, queue, now=NOW + STALE_AFTER) == {"emails": "5"}


FRESH = measured("sms", snapshot(waiting=1))


@pytest.mark.parametrize(
    ("queue", "why"),
    [
        (measured(), "The queue of the QueueJob 'emails' has not been read yet."),
        (
            measured(problem="There is no connection 'x'."),
            "The queue of the QueueJob 'emails' has not been read yet: There is no connection 'x'.",
        ),
        (
            measured(read=snapshot(waiting=5, taken_at=NOW - 61), problem="Redis is away."),
            "The queue of the QueueJob 'emails' was read 61 s ago, and nothing older than 60 s is given out: "
            "Redis is away.",
        ),
        (
            measured(read=snapshot(taken_at=NOW - 99)),
            "The queue of the QueueJob 'emails' was read 99 s ago, and nothing older than 60 s is given out.",
        ),
        (
            MeasuredQueue(labels_of("emails", None), problem="spec.queue is missing."),
            "The queue of the QueueJob 'emails' has not been read yet: spec.queue is missing.",
        ),
    ],
    ids=["never read", "no connection", "too old", "too old, whyever", "not understood"],
)
def test_what_is_not_known_is_no_number_and_no_part_of_a_sum(queue: MeasuredQueue, why: str) -> None:
    for queues in ([queue], [FRESH, queue], [queue, FRESH]):
        told = refusal(*queues)
        assert (told.code, told.reason, told.message) == (503, "ServiceUnavailable", why)
        assert told.body["status"] == "Failure"


def test_a_clock_that_was_set_back_makes_nothing_old() -> None:
    assert values(BACKLOG, measured(read=snapshot(waiting=5)), now=NOW - 3600) == {"emails": "5"}


@given(st.floats(0, 1e12))
def test_a_quantity_is_the_number_to_the_thousandth(value: float) -> None:
    text = quantity(value)
    number = Decimal(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
    assert abs(number - Decimal(value)) <= Decimal("0.0005") + Decimal(value) * Decimal("1e-15")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (7.0, "7"), (0.5, "500m"), (1.0004, "1"), (12_000_000, "12000000")],
)
def test_quantity(value: float, text: str) -> None:
    assert quantity(value) == text
