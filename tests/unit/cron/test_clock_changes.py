"""What holds for every schedule in every time zone, above all where clocks change. Needs hypothesis.

The measure is the clock itself, asked second by second: a schedule happens at just those seconds at which the
clock shows a time that it names.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from bullherd.cron import CronSchedule
from bullherd.cron.fields import CronFields

ZONES = sorted(resources.files("tzdata").joinpath("zones").read_text().split())
BEGIN, END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=28)
WINDOW = timedelta(hours=3)


@cache
def changes(zone: ZoneInfo) -> list[datetime]:
    """The seconds at which the zone's offset becomes another, but for pairs within a month."""
    found = []
    moment = BEGIN
    while moment < END:
        if offset(zone, moment) != offset(zone, moment + MONTH):
            before, after = moment, moment + MONTH
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) // 2
                middle = middle.replace(microsecond=0)
                if offset(zone, middle) == offset(zone, moment):
                    before = middle
                else:
                    after = middle
            found.append(after)
        moment += MONTH
    return found or [BEGIN]


def offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def numbers(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    ranges = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    part = st.one_of(
        number.map(str),
        ranges,
        st.builds("{}/{}".format, st.one_of(st.just("*"), ranges), st.integers(1, highest)),
    )
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


TIMES_OF_DAY = [numbers(0, 59), numbers(0, 23)]
DAYS = [numbers(1, 31), numbers(1, 12), numbers(0, 6)]
any_day = st.just("* * *")
often = st.tuples(*TIMES_OF_DAY, any_day).map(" ".join)
in_seconds = st.tuples(numbers(0, 59), *TIMES_OF_DAY, any_day).map(" ".join)
schedules = st.one_of(often, in_seconds, st.tuples(*TIMES_OF_DAY, *DAYS).map(" ".join))


@st.composite
def moments(draw: st.DrawFn, zone: ZoneInfo) -> datetime:
    """Most within hours of a clock change."""
    near = draw(st.sampled_from(changes(zone)))
    if draw(st.integers(0, 9)) == 0:
        near += timedelta(days=draw(st.integers(-200, 200)))
    return near + timedelta(seconds=draw(st.integers(-3 * 3600, 2 * 3600)))


def parsed(text: str, zone: str) -> CronSchedule | None:
    """None if it never happens, which nothing else that is drawn here is refused for."""
    try:
        return CronSchedule.parse(text, zone)
    except ValueError as problem:
        if "never happens" not in str(problem):
            raise
        return None


def shows(fields: CronFields, local: datetime) -> bool:
    """Whether the schedule names what the clock shows."""
    days = (local.day in fields.days, local.isoweekday() % 7 in fields.weekdays)
    return (
        local.second in fields.seconds
        and local.minute in fields.minutes
        and local.hour in fields.hours
        and local.month in fields.months
        and (any(days) if fields.any_day else all(days))
    )


@settings(max_examples=400, deadline=None)
@given(data=st.data(), key=st.sampled_from(ZONES), text=schedules)
def test_it_happens_whenever_the_clock_shows_it_and_never_else(
    data: st.DataObject, key: str, text: str
) -> None:
    schedule = parsed(text, key)
    if schedule is None:
        return
    fields = CronFields.parse(text)
    moment = data.draw(moments(schedule.zone))
    seconds = [moment + timedelta(seconds=number) for number in range(int(WINDOW.total_seconds()))]
    happening = [second for second in seconds if shows(fields, second.astimezone(schedule.zone))]

    following = schedule.next_after(moment - timedelta(seconds=1))
    assert following == happening[0] if happening else following is None or following > seconds[-1]
    last = schedule.last_at_or_before(seconds[-1])
    assert last == happening[-1] if happening else last is None or last < seconds[0]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), key=st.sampled_from(ZONES), text=schedules)
def test_forth_and_back_are_the_same_times(data: st.DataObject, key: str, text: str) -> None:
    schedule = parsed(text, key)
    if schedule is None:
        return
    moment = data.draw(moments(schedule.zone))
    there = [moment]
    for _ in range(5):
        following = schedule.next_after(there[-1])
        assert following is not None
        assert following > there[-1]
        assert shows(CronFields.parse(text), following.astimezone(schedule.zone))
        # From anywhere between two times the answers are the same: nothing is skipped, nothing comes twice.
        between = there[-1] + (following - there[-1]) / 2
        assert schedule.next_after(between) == following
        assert schedule.last_at_or_before(between) == schedule.last_at_or_before(there[-1])
        there.append(following)
    assert all(schedule.last_at_or_before(at) == at for at in there[1:])


@settings(max_examples=300, deadline=None)
@given(
    text=st.tuples(*TIMES_OF_DAY, *DAYS).map(" ".join),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 # it wants them naive
)
def test_without_clock_changes_another_calendar_agrees(text: str, moment: datetime) -> None:
    """dateutil's recurrences know days of the month and of the week; "one or the other" is two of them."""
    schedule = parsed(text, "UTC")
    if schedule is None:
        return
    fields = CronFields.parse(text)
    by_weekday = {"byweekday": [(day - 1) % 7 for day in fields.weekdays]}
    by_date = {"bymonthday": sorted(fields.days)}
    kinds = [by_weekday, by_date] if fields.any_day else [by_weekday | by_date]
    start = moment.replace(minute=0, second=0, microsecond=0)
    times = {"bymonth": fields.months, "byhour": fields.hours, "byminute": fields.minutes, "bysecond": [0]}
    candidates = [rrule(DAILY, dtstart=start, **times, **kind).after(moment) for kind in kinds]
    following = schedule.next_after(moment.replace(tzinfo=UTC))
    assert following is not None
    assert following.replace(tzinfo=None) == min(one for one in candidates if one is not None)
