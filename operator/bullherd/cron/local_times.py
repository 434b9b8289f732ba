"""The times of day that a schedule names, in order, on a calendar without a time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR, datetime
from itertools import dropwhile, product

from bullherd.cron.fields import CronFields

HORIZON = 20
"""Years to look. 29 February is 8 years away at most; if a clock change swallows a time on it, 16."""

_Time = tuple[int, int, int]


def times_from(fields: CronFields, start: datetime) -> Iterator[datetime]:
    """Those at and after ``start``, which has no time zone, ascending."""
    at = (start.hour, start.minute, start.second)
    for year, month in _months_from(fields, start):
        is_first = (year, month) == (start.year, start.month)
        for day in _days(fields, year, month):
            if is_first and day < start.day:
                continue
            earliest = at if is_first and day == start.day else (0, 0, 0)
            for hour, minute, second in _of_day_from(fields, earliest):
                yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001


def times_back_from(fields: CronFields, start: datetime) -> Iterator[datetime]:
    """Those at and before ``start``, descending."""
    at = (start.hour, start.minute, start.second)
    for year, month in _months_back_from(fields, start):
        is_first = (year, month) == (start.year, start.month)
        for day in reversed(_days(fields, year, month)):
            if is_first and day > start.day:
                continue
            latest = at if is_first and day == start.day else (23, 59, 59)
            for hour, minute, second in _of_day_back_from(fields, latest):
                yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001


def _months_from(fields: CronFields, start: datetime) -> Iterator[tuple[int, int]]:
    years = range(start.year, min(start.year + HORIZON, MAXYEAR) + 1)
    return dropwhile(lambda month: month < (start.year, start.month), product(years, fields.months))


def _months_back_from(fields: CronFields, start: datetime) -> Iterator[tuple[int, int]]:
    years = range(start.year, max(start.year - HORIZON, MINYEAR) - 1, -1)
    return dropwhile(lambda month: month > (start.year, start.month), product(years, fields.months[::-1]))


def _days(fields: CronFields, year: int, month: int) -> list[int]:
    # The day before the first counts from Monday as the first does from Sunday.
    before_first, length = monthrange(year, month)
    combine = any if fields.any_day else all
    return [
        day
        for day in range(1, length + 1)
        if combine((day in fields.days, (before_first + day) % 7 in fields.weekdays))
    ]


def _of_day_from(fields: CronFields, earliest: _Time) -> Iterator[_Time]:
    hours = [hour for hour in fields.hours if hour >= earliest[0]]
    return dropwhile(lambda time: time < earliest, product(hours, fields.minutes, fields.seconds))


def _of_day_back_from(fields: CronFields, latest: _Time) -> Iterator[_Time]:
    hours = [hour for hour in fields.hours[::-1] if hour <= latest[0]]
    return dropwhile(lambda time: time > latest, product(hours, fields.minutes[::-1], fields.seconds[::-1]))
