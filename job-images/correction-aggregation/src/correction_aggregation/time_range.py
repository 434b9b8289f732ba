"""Half-open ranges of time, always in UTC, and the name that one has in the training data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class TimeRange:
    """Rows created at `start` belong to it, rows created at `end` to the next range: neighbours share no
    row and miss none.
    """

    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """A folder name without colons that only this range has, and that sorts by time."""
        return f"{_basic_format(self.start)}_{_basic_format(self.end)}"


class DayDoesNotExistError(ValueError):
    """The zone's clocks jumped over the whole day (Samoa had no 30 December 2011)."""


def day_range(day: date, zone: ZoneInfo) -> TimeRange:
    """The day as people in the zone lived it: 23, 24 or 25 hours, whatever their clocks did.

    Where midnight itself was skipped the day starts at the moment of the jump, and where it came twice, at
    the first one; that is what `fold=0` means to zoneinfo.
    """
    start, end = _midnight(day, zone), _midnight(day + ONE_DAY, zone)
    if start >= end:
        raise DayDoesNotExistError(
            f"there was no {day.isoformat()} in {zone.key}: its clocks jumped over that day"
        )
    return TimeRange(start, end)


def previous_day(as_of: datetime, zone: ZoneInfo) -> TimeRange:
    """The last whole day in the zone that was over at `as_of`."""
    day = as_of.astimezone(zone).date() - ONE_DAY
    try:
        return day_range(day, zone)
    except DayDoesNotExistError:
        return day_range(day - ONE_DAY, zone)


def iso_utc(moment: datetime) -> str:
    """2026-11-01T09:30:00Z, with a fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _basic_format(moment: datetime) -> str:
    return iso_utc(moment).replace("-", "").replace(":", "")
