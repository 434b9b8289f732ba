"""When schedules happen: tables, read as sentences. Needs nothing.

``robfig.jsonl`` are answers of robfig/cron v3.0.1, the package that Kubernetes' CronJob uses, to schedules
and moments drawn at random, most of them beside a clock change: the next four times. Where it goes wrong is
in the last table.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bullherd.cron import CronSchedule

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "robfig.jsonl").read_text().splitlines()]


def at(text: str) -> datetime:
    """A moment; without an offset in UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "fact", RECORDED, ids=lambda fact: f"{fact['schedule']} {fact['zone']} {fact['after']}"
)
def test_as_a_cronjob_would(fact: dict[str, str]) -> None:
    schedule = CronSchedule.parse(fact["schedule"], fact["zone"])
    moment = at(fact["after"])
    for expected in fact["next"]:
        following = schedule.next_after(moment)
        assert following == at(expected)
        assert schedule.last_at_or_before(following) == following
        moment = following


@pytest.mark.parametrize(
    ("text", "moment", "happens"),
    [
        pytest.param("0/15 * * * *", "2026-07-09T15:45", True, id="each quarter of an hour"),
        pytest.param("0/15 * * * *", "2026-07-09T15:40", False, id="between the quarters"),
        pytest.param("5/15 * * * *", "2026-07-09T15:20", True, id="each quarter, five minutes later"),
        pytest.param("0 9-17/4 * * *", "2026-07-09T13:00", True, id="every fourth hour of a range"),
        pytest.param("30 8 ? Jul Thu", "2026-07-09T08:30", True, id="a Thursday in July"),
        pytest.param("30 8 ? Jul Thu", "2026-07-10T08:30", False, id="a Friday in July"),
        pytest.param("30 8 9 Jul ?", "2026-07-09T08:30", True, id="9 July"),
        pytest.param("30 8 9 Jun ?", "2026-07-09T08:30", False, id="9 June"),
        pytest.param("0 0 1,15 * Sun", "2026-07-15T00:00", True, id="the 15th, which is no Sunday"),
        pytest.param("0 0 1,15 * Sun", "2026-07-12T00:00", True, id="a Sunday, which is not the 15th"),
        pytest.param("0 0 1,15 * Sun", "2026-07-13T00:00", False, id="neither"),
        pytest.param("0 0 * * Mon", "2026-07-12T00:00", False, id="a Sunday is no Monday on whatever day"),
        pytest.param("0 0 */10 * Sun", "2026-07-12T00:00", True, id="a star with a step is no star: Sunday"),
        pytest.param(
            "0 0 */10 * Sun", "2026-07-11T00:00", True, id="a star with a step is no star: the 11th"
        ),
        pytest.param("0 0 1-31 * Mon", "2026-07-12T00:00", True, id="all days are no star either"),
        pytest.param("@hourly", "2026-07-12T07:00", True, id="hourly"),
        pytest.param("@daily", "2026-07-12T07:00", False, id="daily is at midnight"),
        pytest.param("@weekly", "2026-07-12T00:00", True, id="weekly is on Sunday"),
        pytest.param("@weekly", "2026-07-13T00:00", False, id="weekly is not on Monday"),
        pytest.param("@monthly", "2026-07-01T00:00", True, id="monthly is on the first"),
        pytest.param("@yearly", "2026-07-01T00:00", False, id="yearly is not in July"),
        pytest.param("*/10 0 0 1 1 ?", "2026-01-01T00:00:50", True, id="seconds"),
        pytest.param("*/10 0 0 1 1 ?", "2026-01-01T00:00:51", False, id="between the seconds"),
    ],
)
def test_whether_it_happens(text: str, moment: str, happens: bool) -> None:
    schedule = CronSchedule.parse(text)
    assert (schedule.next_after(at(moment) - timedelta(seconds=1)) == at(moment)) is happens
    assert (schedule.last_at_or_before(at(moment)) == at(moment)) is happens


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        pytest.param(
            "0 9 * * 1-5", "2026-11-20T09:00", "2026-11-23T09:00", id="Friday to Monday, strictly after"
        ),
        pytest.param("0 9 * * 1-5", "2026-11-20T08:59:59.999", "2026-11-20T09:00", id="a fraction before"),
        pytest.param("0 9 * * 1-5", "2026-11-20T09:00:00.001", "2026-11-23T09:00", id="a fraction after"),
        pytest.param("59 23 31 12 *", "2026-12-31T23:59", "2027-12-31T23:59", id="a year"),
        pytest.param("0 0 31 * *", "2026-03-31T00:00", "2026-05-31T00:00", id="a month without the day"),
        pytest.param("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00", id="the next leap year"),
        pytest.param(
            "0 0 29 2 *", "2096-02-29T00:00", "2104-02-29T00:00", id="eight years: 2100 is no leap year"
        ),
        pytest.param("30 0 0 1 1 *", "2026-01-01T00:00:30", "2027-01-01T00:00:30", id="a second once a year"),
    ],
)
def test_next_in_utc(text: str, after: str, expected: str) -> None:
    assert CronSchedule.parse(text).next_after(at(after)) == at(expected)


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        pytest.param("0 9 * * 1-5", "2026-11-23T09:00", "2026-11-23T09:00", id="at that moment"),
        pytest.param("0 9 * * 1-5", "2026-11-23T08:59:59.999", "2026-11-20T09:00", id="a fraction before"),
        pytest.param("0 0 29 2 *", "2026-01-01T00:00", "2024-02-29T00:00", id="the last leap year"),
        pytest.param("0 0 29 2 *", "2104-02-28T00:00", "2096-02-29T00:00", id="eight years"),
        pytest.param("0 0 31 * *", "2026-07-30T00:00", "2026-05-31T00:00", id="a month without the day"),
        pytest.param("59 23 31 12 *", "2026-12-31T23:58", "2025-12-31T23:59", id="a year"),
    ],
)
def test_last_in_utc(text: str, moment: str, expected: str) -> None:
    assert CronSchedule.parse(text).last_at_or_before(at(moment)) == at(expected)


RIGA = "Europe/Riga"
"""2021: from 03:00 to 04:00 on 28 March, from 04:00 back to 03:00 on 31 October."""


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        pytest.param(
            "*/30 * * * *", RIGA, "2021-03-28T02:10+02:00",
            ["2021-03-28T02:30+02:00", "2021-03-28T04:00+03:00"],
            id="in spring an hour is not there",
        ),
        pytest.param(
            "*/30 * * * *", RIGA, "2021-10-31T03:10+03:00",
            ["2021-10-31T03:30+03:00", "2021-10-31T03:00+02:00", "2021-10-31T03:30+02:00"],
            id="in autumn an hour is there twice",
        ),
        pytest.param(
            "30 3 * * *", RIGA, "2021-03-27T03:30+02:00", ["2021-03-29T03:30+03:00"],
            id="a time of day in the gap is left out, not late",
        ),
        pytest.param(
            "0 3 * * *", RIGA, "2021-03-27T12:00+02:00", ["2021-03-29T03:00+03:00"],
            id="the first moment of the gap is left out, too",
        ),
        pytest.param(
            "0 4 * * *", RIGA, "2021-03-27T12:00+02:00", ["2021-03-28T04:00+03:00"],
            id="the first moment after the gap is there",
        ),
        pytest.param(
            "30 3 * * *", RIGA, "2021-10-30T12:00+03:00",
            ["2021-10-31T03:30+03:00", "2021-10-31T03:30+02:00", "2021-11-01T03:30+02:00"],
            id="a time of day that is there twice happens twice",
        ),
        pytest.param(
            "0 4 * * *", RIGA, "2021-10-30T12:00+03:00", ["2021-10-31T04:00+02:00", "2021-11-01T04:00+02:00"],
            id="the moment at which the clock is set back is there once",
        ),
        pytest.param(
            "30 */2 * * *", RIGA, "2021-03-28T01:30+02:00",
            ["2021-03-28T02:30+02:00", "2021-03-28T04:30+03:00"],
            id="every second hour over the gap",
        ),
        pytest.param(
            "0 */3 * * *", RIGA, "2021-10-31T01:30+03:00",
            ["2021-10-31T03:00+03:00", "2021-10-31T03:00+02:00", "2021-10-31T06:00+02:00"],
            id="every third hour when the clock is set back",
        ),
        pytest.param(
            "0 1 * * *", "America/New_York", "2026-11-01T00:00-04:00",
            ["2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00", "2026-11-02T01:00-05:00"],
            id="one o'clock in New York, twice",
        ),
        pytest.param(
            "30 2 8 3 *", "America/New_York", "2026-01-01T00:00-05:00", ["2027-03-08T02:30-05:00"],
            id="a date whose time is in the gap waits for the next year",
        ),
        pytest.param(
            "30 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00", ["2026-01-01T03:45", "2026-01-02T03:45"],
            id="an offset with minutes",
        ),
    ],
)  # fmt: skip
def test_where_clocks_change(text: str, zone: str, after: str, expected: list[str]) -> None:
    schedule = CronSchedule.parse(text, zone)
    moment = at(after)
    for wanted in expected:
        following = schedule.next_after(moment)
        assert following == at(wanted)
        assert schedule.last_at_or_before(following - timedelta(microseconds=1)) != following
        moment = following
    for wanted in reversed(expected):
        assert schedule.last_at_or_before(moment) == at(wanted)
        moment = at(wanted) - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        pytest.param(
            "15 5 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-03T18:15",
            id="on the day on which the clock jumps by half an hour; robfig leaves the day out",
        ),
        pytest.param(
            "30 5 * 3 6", "America/Havana", "2026-03-07T20:00", "2026-03-14T09:30",
            id="Saturdays, before a day without midnight; robfig takes that Sunday for one",
        ),
        pytest.param(
            "0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00", "2012-12-29T22:00",
            id="a day that the date line took; robfig looks for it for ever",
        ),
        pytest.param(
            "0 0 29 2 *", "UTC", "2097-01-01T00:00", "2104-02-29T00:00",
            id="more than five years away; robfig gives up",
        ),
    ],
)  # fmt: skip
def test_where_robfig_stumbles_the_rule_holds(text: str, zone: str, after: str, expected: str) -> None:
    schedule = CronSchedule.parse(text, zone)
    assert schedule.next_after(at(after)) == at(expected)
    assert schedule.last_at_or_before(at(expected)) == at(expected)


def test_there_is_nothing_beyond_the_calendar() -> None:
    schedule = CronSchedule.parse("0 0 31 12 *")
    assert schedule.next_after(datetime(9999, 12, 31, 12, tzinfo=UTC)) is None
    assert schedule.last_at_or_before(datetime(1, 1, 2, tzinfo=UTC)) is None


def test_it_is_known_by_its_text_and_time_zone() -> None:
    schedule = CronSchedule.parse("0 8 * * 1-5", "Europe/Berlin")
    assert schedule == CronSchedule.parse("0 8 * * 1-5", "Europe/Berlin")
    assert hash(schedule) == hash(CronSchedule.parse("0 8 * * 1-5", "Europe/Berlin"))
    assert schedule != CronSchedule.parse("0 8 * * 1-5", "Europe/Paris")
    assert str(schedule) == '"0 8 * * 1-5" (Europe/Berlin)'


def test_answers_are_in_utc_whatever_the_question_is_in() -> None:
    schedule = CronSchedule.parse("0 8 * * *", "Europe/Berlin")
    moment = datetime.fromisoformat("2026-11-24T03:00:00-05:00")
    assert (following := schedule.next_after(moment)) is not None
    assert (following.isoformat(), following.tzinfo) == ("2026-11-25T07:00:00+00:00", UTC)
    assert (last := schedule.last_at_or_before(moment)) is not None
    assert (last.isoformat(), last.tzinfo) == ("2026-11-24T07:00:00+00:00", UTC)
