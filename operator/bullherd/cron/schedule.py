"""A schedule in a time zone, and when it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from bullherd.cron.fields import CronFields
from bullherd.cron.local_times import times_back_from, times_from

_FIRST, _LAST = 0, -1


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its IANA name, or ValueError with a sentence.

    Only names of the tzdata package count: what else lies about in a system's folder (``localtime``,
    ``right/…``) is another thing on each machine.
    """
    if name not in _zone_names():
        raise ValueError(f"there is no time zone {name!r}. Write an IANA name such as Europe/Berlin or UTC")
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """When something happens. Two of the same text and time zone are equal."""

    text: str
    time_zone: str
    _fields: CronFields = field(compare=False, repr=False)
    _zone: ZoneInfo = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, time_zone: str = "UTC") -> CronSchedule:
        """Read a schedule, or raise ValueError with a sentence on what is wrong and what to write.

        One that can never happen, like the 31st of February, is wrong.
        """
        return cls(text, time_zone, CronFields.parse(text), zone_named(time_zone))

    @property
    def zone(self) -> ZoneInfo:
        """The time zone whose clock the schedule is read on."""
        return self._zone

    def __str__(self) -> str:
        return f'"{self.text}" ({self.time_zone})'

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after ``moment``, in UTC; None if clock changes swallow all of the next years'."""
        local, repeated = self._local(moment)
        found = self._first_after(local, moment, _FIRST)
        if repeated and (again := self._first_after(local - repeated, moment, _LAST)) is not None:
            return again if found is None else min(found, again)
        return found

    def last_at_or_before(self, moment: datetime) -> datetime | None:
        """The last time that is not after ``moment``, in UTC; None if the last years had none."""
        local, repeated = self._local(moment)
        found = self._last_until(local, moment, _LAST)
        if repeated and (once := self._last_until(local + repeated, moment, _FIRST)) is not None:
            return once if found is None else max(found, once)
        return found

    def _local(self, moment: datetime) -> tuple[datetime, timedelta]:
        """The clock's time, and by how much the clock is set back if it shows that time twice.

        Where local times ascend, so do the instants at which they are shown first, and those at which they
        are shown last, but not both together. So while the clock repeats itself, two walks are needed; the
        second begins by so much earlier or later: for what comes once more, or for what has already been.
        """
        local = moment.astimezone(self._zone).replace(tzinfo=None, fold=0)
        first, second = self._offsets(local)
        return local, max(first - second, timedelta(0))

    def _first_after(self, start: datetime, moment: datetime, which: int) -> datetime | None:
        for local in times_from(self._fields, start):
            if (instants := self._instants(local)) and instants[which] > moment:
                return instants[which]
        return None

    def _last_until(self, start: datetime, moment: datetime, which: int) -> datetime | None:
        for local in times_back_from(self._fields, start):
            if (instants := self._instants(local)) and instants[which] <= moment:
                return instants[which]
        return None

    def _instants(self, local: datetime) -> list[datetime]:
        """When the clock shows ``local``: never where it jumps ahead, twice where it is set back."""
        first, second = self._offsets(local)
        if first < second:
            return []
        utc = local.replace(tzinfo=UTC)
        return [utc - first] if first == second else [utc - first, utc - second]

    def _offsets(self, local: datetime) -> tuple[timedelta, timedelta]:
        """The zone's offsets for the first and the second time that the clock shows ``local``.

        They differ around a clock change only: by how much the clock jumps ahead, the second is the greater.
        """
        first = self._zone.utcoffset(local.replace(fold=0))
        second = self._zone.utcoffset(local.replace(fold=1))
        assert first is not None  # only a zone without data says so
        assert second is not None
        return first, second
