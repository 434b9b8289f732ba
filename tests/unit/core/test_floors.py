"""Floors of replicas: which holds when, and what is said of it. Needs hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.api.floors import FloorSpec
from bullherd.core.floors import Floor, FloorNow, floor_at, floor_of
from bullherd.cron import CronSchedule

HOUR = 3600.0


def at(text: str) -> float:
    """A moment, in UTC if it has no offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def floor(schedule: str, hours: float, replicas: int, zone: str = "Europe/Berlin") -> Floor:
    return Floor(CronSchedule.parse(schedule, zone), hours * HOUR, replicas)


MORNINGS = floor("0 8 * * 1-5", 2, 5)
"""8 to 10 on workdays in Berlin."""


@pytest.mark.parametrize(
    ("now", "replicas", "until", "reason"),
    [
        pytest.param("2026-11-24T07:59:59+01:00", 0, "2026-11-24T08:00+01:00", None, id="a second before"),
        pytest.param(
            "2026-11-24T08:00+01:00", 5, "2026-11-24T10:00+01:00",
            'floor "0 8 * * 1-5" (Europe/Berlin) of 5 until 10:00',
            id="its first moment",
        ),
        pytest.param(
            "2026-11-24T09:59:59+01:00", 5, "2026-11-24T10:00+01:00",
            'floor "0 8 * * 1-5" (Europe/Berlin) of 5 until 10:00',
            id="its last second",
        ),
        pytest.param("2026-11-24T10:00+01:00", 0, "2026-11-25T08:00+01:00", None, id="its end"),
        pytest.param("2026-11-27T10:00+01:00", 0, "2026-11-30T08:00+01:00", None, id="over the weekend"),
    ],
)  # fmt: skip
def test_workday_mornings(now: str, replicas: int, until: str, reason: str | None) -> None:
    assert floor_at([MORNINGS], at(now)) == FloorNow(replicas, at(until), reason)


def test_without_floors_there_is_none_and_that_does_not_change() -> None:
    assert floor_at([], at("2026-11-24T08:00")) == FloorNow(0, None, None)


@pytest.mark.parametrize(
    ("others", "replicas", "until", "words"),
    [
        pytest.param([floor("0 9 * * *", 3, 4)], 5, "10:00", "of 5 until 10:00", id="a lower one is longer"),
        pytest.param([floor("0 9 * * *", 3, 6)], 6, "10:00", "of 6 until 12:00", id="the highest counts"),
        pytest.param([floor("0 9 * * *", 3, 5)], 5, "10:00", "of 5 until 12:00", id="of equals the longest"),
        pytest.param(
            [floor("45 9 * * *", 1, 9)], 5, "09:45", "of 5 until 10:00", id="a higher one that begins sooner"
        ),
        pytest.param([floor("0 7 * * *", 1, 9)], 5, "10:00", "of 5 until 10:00", id="one that is over"),
    ],
)  # fmt: skip
def test_several(others: list[Floor], replicas: int, until: str, words: str) -> None:
    now = at("2026-11-24T09:30+01:00")
    for floors in ([MORNINGS, *others], [*others, MORNINGS]):
        answer = floor_at(floors, now)
        assert (answer.min_replicas, answer.until) == (replicas, at(f"2026-11-24T{until}+01:00"))
        assert answer.reason is not None
        assert answer.reason.endswith(words)


def test_an_end_on_another_day_is_told_with_its_date() -> None:
    night = floor("0 22 * * *", 8, 2)
    assert floor_at([night], at("2026-11-24T23:00+01:00")).reason == (
        'floor "0 22 * * *" (Europe/Berlin) of 2 until 2026-11-25 06:00'
    )
    assert floor_at([night], at("2026-11-25T01:00+01:00")).reason == (
        'floor "0 22 * * *" (Europe/Berlin) of 2 until 06:00'
    )


def test_one_that_begins_again_before_its_end_goes_on() -> None:
    hourly = floor("0 * * * *", 1.5, 3)
    answer = floor_at([hourly], at("2026-11-24T09:10+01:00"))
    assert (answer.min_replicas, answer.until) == (3, at("2026-11-24T10:30+01:00"))


def test_one_hour_after_the_other_is_without_a_gap() -> None:
    hours = [floor("0 8-17 * * *", 1, 3)]
    for minute in range(10 * 60):
        assert floor_at(hours, at("2026-11-24T08:00+01:00") + 60 * minute).min_replicas == 3
    assert floor_at(hours, at("2026-11-24T18:00+01:00")).min_replicas == 0


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        pytest.param("2026-10-24T22:00+02:00", "2026-10-25T06:00+02:00", "2026-10-25 05:00", id="set back"),
        pytest.param("2026-03-28T22:00+01:00", "2026-03-29T06:00+01:00", "2026-03-29 07:00", id="set ahead"),
    ],
)
def test_it_lasts_as_long_when_clocks_change(begin: str, end: str, told: str) -> None:
    nights = [floor("0 22 * * *", 8, 2)]
    answer = floor_at(nights, at(begin))
    assert answer.until == at(end)
    assert answer.reason is not None
    assert answer.reason.endswith(f"until {told}")
    assert floor_at(nights, at(end) - 1).min_replicas == 2
    assert floor_at(nights, at(end)).min_replicas == 0


def test_a_time_that_the_clock_shows_twice_begins_it_twice() -> None:
    early = [floor("30 2 * * *", 0.25, 2)]
    held = [
        minute
        for minute in range(0, 4 * 60, 15)
        if floor_at(early, at("2026-10-25T00:00+02:00") + 60 * minute).min_replicas
    ]
    assert held == [150, 210]


def test_a_time_that_the_clock_skips_begins_none() -> None:
    early = [floor("30 2 * * *", 1, 2)]
    answer = floor_at(early, at("2026-03-29T03:30+02:00"))
    assert (answer.min_replicas, answer.until) == (0, at("2026-03-30T02:30+02:00"))


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("2h30m", 9000), ("90m", 5400), ("45s", 45), ("1h0m1s", 3601), ("168h", 604_800)],
)
def test_from_the_resource(duration: str, seconds: float) -> None:
    spec = FloorSpec(schedule="0 8 * * *", time_zone="Asia/Tokyo", duration=duration, min_replicas=3)
    assert floor_of(spec) == Floor(CronSchedule.parse("0 8 * * *", "Asia/Tokyo"), seconds, 3)


floors_of_a_job = st.lists(
    st.builds(
        floor,
        st.sampled_from(
            ["0 * * * *", "*/30 * * * *", "30 2 * * *", "0 0 * * 0", "15 1,2,3 * * *", "0 3 29 3 *"]
        ),
        st.sampled_from([1 / 60, 0.25, 1, 1.5, 24, 168]),
        st.integers(1, 5),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    ),
    max_size=4,
)
CLOCK_CHANGES = [
    at(text) for text in ("2026-03-29T01:00", "2026-10-25T01:00", "2026-11-01T06:00", "2026-04-04T15:00")
]


@given(floors_of_a_job, st.sampled_from(CLOCK_CHANGES), st.integers(-30 * 60, 30 * 60))
def test_it_is_the_highest_that_began_within_its_duration(
    floors: list[Floor], change: float, minutes: int
) -> None:
    now = change + 60 * minutes
    moment = datetime.fromtimestamp(now, UTC)
    holding = [
        one.min_replicas
        for one in floors
        if (begin := one.schedule.next_after(moment - timedelta(seconds=one.duration))) and begin <= moment
    ]
    assert floor_at(floors, now).min_replicas == max(holding, default=0)


@given(floors_of_a_job, st.sampled_from(CLOCK_CHANGES), st.integers(-30 * 60, 30 * 60), st.floats(0, 0.999))
def test_until_then_the_answer_stays(floors: list[Floor], change: float, minutes: int, part: float) -> None:
    now = change + 60 * minutes
    answer = floor_at(floors, now)
    if answer.until is None:
        assert floors == []
        return
    assert answer.until > now
    later = floor_at(floors, now + part * (answer.until - now))
    assert (later.min_replicas, later.reason is None) == (answer.min_replicas, answer.reason is None)
