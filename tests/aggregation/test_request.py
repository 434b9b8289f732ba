"""What an item may ask for, and which rows that means. Pure: needs nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from correction_aggregation.request import AggregationRequest
from correction_aggregation.time_range import DayDoesNotExistError, TimeRange, day_range, previous_day

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Prague",
    "America/New_York",
    "America/Havana",
    "Africa/Cairo",
    "Pacific/Apia",
    "Asia/Kathmandu",
]
DAYS = st.dates(date(1995, 1, 1), date(2035, 1, 1))


def moments(first: str, last: str) -> st.SearchStrategy[datetime]:
    bounds = datetime.fromisoformat(first), datetime.fromisoformat(last)
    return st.datetimes(*bounds, timezones=st.just(UTC))


def range_of(**data: Any) -> TimeRange:
    return AggregationRequest.model_validate(data).time_range(NOW)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "start", "end"),
    [
        ({"type": "daily"}, "2026-11-23T00:00", "2026-11-24T00:00"),
        ({"type": "daily", "timeZone": "Europe/Prague"}, "2026-11-22T23:00", "2026-11-23T23:00"),
        # In New York it is still the 23rd: the 22nd is the last whole day.
        ({"type": "daily", "timeZone": "America/New_York"}, "2026-11-22T05:00", "2026-11-23T05:00"),
        ({"type": "daily", "date": "2026-11-01"}, "2026-11-01T00:00", "2026-11-02T00:00"),
        # 23 hours when clocks go forward, 25 when they go back.
        (
            {"type": "daily", "date": "2026-03-29", "timeZone": "Europe/Prague"},
            "2026-03-28T23:00",
            "2026-03-29T22:00",
        ),
        (
            {"type": "daily", "date": "2026-10-25", "timeZone": "Europe/Prague"},
            "2026-10-24T22:00",
            "2026-10-25T23:00",
        ),
        # Cairo's clocks jump over midnight: the day starts at one o'clock, which is the moment of the jump.
        (
            {"type": "daily", "date": "2026-04-24", "timeZone": "Africa/Cairo"},
            "2026-04-23T22:00",
            "2026-04-24T21:00",
        ),
        # Havana's midnight comes twice: the day starts at the first one.
        (
            {"type": "daily", "date": "2026-11-01", "timeZone": "America/Havana"},
            "2026-11-01T04:00",
            "2026-11-02T05:00",
        ),
        (
            {"type": "range", "startDate": "2026-11-01", "endDate": "2026-11-08"},
            "2026-11-01T00:00",
            "2026-11-08T00:00",
        ),
        (
            {
                "type": "range",
                "startDate": "2026-11-01T00:00:00.000Z",
                "endDate": "2026-11-01T12:30:00+02:00",
            },
            "2026-11-01T00:00",
            "2026-11-01T10:30",
        ),
        (
            {"type": "range", "startDate": "2024-01-01", "endDate": "2025-01-01"},
            "2024-01-01T00:00",
            "2025-01-01T00:00",
        ),
    ],
)
def test_the_range_that_is_meant(data: dict[str, Any], start: str, end: str) -> None:
    assert range_of(**data) == TimeRange(utc(start), utc(end))


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        ({}, "data", "type"),
        ({"type": "weekly"}, "data", "weekly"),
        ({"type": "daily", "timezone": "Europe/Prague"}, "daily.timezone", "Extra inputs"),
        ({"type": "daily", "timeZone": "Europe/Atlantis"}, "daily.timeZone", "IANA"),
        ({"type": "daily", "timeZone": "../../etc/passwd"}, "daily.timeZone", "IANA"),
        ({"type": "daily", "timeZone": "Europe"}, "daily.timeZone", "IANA"),
        ({"type": "daily", "date": "2026-02-30"}, "daily.date", "ISO 8601"),
        ({"type": "daily", "date": 20261101}, "daily.date", "as text"),
        ({"type": "daily", "date": "0001-01-01"}, "daily.date", "out of the calendar"),
        ({"type": "daily", "date": "2011-12-30", "timeZone": "Pacific/Apia"}, "daily", "jumped over"),
        ({"type": "range", "startDate": "2026-11-01"}, "range.endDate", "required"),
        ({"type": "range", "startDate": "yesterday", "endDate": "2026-11-01"}, "range.startDate", "ISO 8601"),
        (
            {"type": "range", "startDate": 1762000000000, "endDate": "2026-11-01"},
            "range.startDate",
            "as text",
        ),
        (
            {"type": "range", "startDate": "0001-01-01T00:00+14:00", "endDate": "2026-11-01"},
            "range.startDate",
            "ISO",
        ),
        ({"type": "range", "startDate": "2026-11-01", "endDate": "2026-11-01"}, "range", "after startDate"),
        ({"type": "range", "startDate": "2026-11-02", "endDate": "2026-11-01"}, "range", "after startDate"),
        (
            {"type": "range", "startDate": "2025-01-01", "endDate": "2026-01-02T00:00:00.001Z"},
            "range",
            "366 days",
        ),
    ],
)
def test_a_bad_request_says_which_field_and_why(data: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AggregationRequest.model_validate(data)
    (problem,) = caught.value.errors()
    assert ".".join(map(str, problem["loc"])) == ("" if field == "data" else field)
    assert reason in problem["msg"]


def test_values_stay_out_of_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        AggregationRequest.model_validate({"type": "daily", "date": "jane@example.org"})
    assert "jane" not in str(caught.value)


@given(
    start=moments("1970-01-02", "2100-01-01"),
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=366)),
    offset=st.integers(-14 * 60, 14 * 60),
)
def test_any_range_within_the_limits_comes_through_whole(
    start: datetime, length: timedelta, offset: int
) -> None:
    there = (start + length).astimezone(ZoneInfo("Europe/Prague")).isoformat()
    here = (start + timedelta(minutes=offset)).replace(tzinfo=None).isoformat()
    sign = "-" if offset < 0 else "+"
    written = f"{here}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    assert range_of(type="range", startDate=written, endDate=there) == TimeRange(start, start + length)


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_days_follow_each_other_without_a_gap(day: date, zone: str) -> None:
    there = ZoneInfo(zone)
    try:
        today, tomorrow = day_range(day, there), day_range(day + timedelta(days=1), there)
    except DayDoesNotExistError:
        return
    assert today.end == tomorrow.start
    assert timedelta(hours=22) <= today.end - today.start <= timedelta(hours=26)


@given(day=DAYS, zone=st.sampled_from(ZONES), past=st.timedeltas(timedelta(0), timedelta(hours=26)))
def test_a_moment_belongs_to_the_day_that_its_clock_shows(day: date, zone: str, past: timedelta) -> None:
    there = ZoneInfo(zone)
    try:
        whole = day_range(day, there)
    except DayDoesNotExistError:
        return
    moment = whole.start + past
    assert (moment.astimezone(there).date() == day) == (moment < whole.end)


@given(now=moments("1995-01-01", "2035-01-01"), zone=st.sampled_from(ZONES))
def test_the_previous_day_is_over_and_is_the_last_one_that_is(now: datetime, zone: str) -> None:
    whole = previous_day(now, ZoneInfo(zone))
    assert whole.end <= now < whole.end + timedelta(hours=26)


def test_after_a_day_that_never_was_the_previous_one_is_the_day_before_it() -> None:
    samoa = ZoneInfo("Pacific/Apia")
    assert previous_day(utc("2011-12-31T00:00"), samoa) == day_range(date(2011, 12, 29), samoa)


@given(
    starts=st.lists(moments("1970-01-01", "2100-01-01"), min_size=2, max_size=2, unique=True),
)
def test_two_ranges_never_share_a_folder_and_folders_sort_by_time(starts: list[datetime]) -> None:
    one, two = (TimeRange(start, start + timedelta(days=1)) for start in starts)
    assert one.key != two.key
    assert not set(one.key) & set(':/\\ "')


def test_the_name_of_a_folder() -> None:
    assert range_of(type="daily").key == "20261123T000000Z_20261124T000000Z"
