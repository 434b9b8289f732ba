"""What the text of a schedule says: the numbers that each field stands for.

Read as robfig/cron v3 does, with seconds as a first field of six. Refused, because others read them
differently or nobody could mean them: ``7`` as a day of the week, ranges that go backwards, ``L``, ``W``,
``#``, ``H``, ``R``, ``@every``, a time zone in the text, and days that no month has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_PART = re.compile(
    r"(?P<from>\*|\?|[0-9]{1,9}|[a-z]{3})(?:-(?P<to>[0-9]{1,9}|[a-z]{3}))?(?:/(?P<step>[0-9]{1,9}))?"
)
_OF_OTHER_CRONS = re.compile(r"\d*[lw]\d*|lw|[a-z0-9]+#\d+|[hr](\(.*\))?(/\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CronFields:
    """Sorted numbers; ``weekdays`` count from Sunday, 0.

    ``any_day``: both kinds of days are restricted, and then one of them is enough.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: tuple[int, ...]
    weekdays: frozenset[int]
    any_day: bool

    @classmethod
    def parse(cls, text: str) -> CronFields:
        """Read a schedule, or raise ValueError with a sentence on what is wrong and what to write."""
        second, minute, hour, day, month, weekday = _split(text)
        days, every_day = _DAY.parse(day)
        weekdays, every_weekday = _WEEKDAY.parse(weekday)
        fields = cls(
            seconds=_SECOND.numbers(second),
            minutes=_MINUTE.numbers(minute),
            hours=_HOUR.numbers(hour),
            days=frozenset(days),
            months=_MONTH.numbers(month),
            weekdays=frozenset(weekdays),
            any_day=not every_day and not every_weekday,
        )
        if not fields.any_day and min(days) > max(_LONGEST_MONTHS[number - 1] for number in fields.months):
            raise ValueError(f"{text!r} never happens: there is no day {day} in month {month}")
        return fields


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: Mapping[str, int]

    def numbers(self, text: str) -> tuple[int, ...]:
        return self.parse(text)[0]

    def parse(self, text: str) -> tuple[tuple[int, ...], bool]:
        """The numbers, and whether a ``*`` says that this field restricts nothing.

        ``*/2`` is no such star, and neither is a range of all numbers: it is robfig's rule, and it matters
        where both the day of the month and of the week are given.
        """
        numbers: set[int] = set()
        star = False
        for part in text.split(","):
            low, high, step, is_star = self._part(part)
            numbers.update(range(low, high + 1, step))
            star = star or is_star
        return tuple(sorted(numbers)), star

    def _part(self, part: str) -> tuple[int, int, int, bool]:
        match = _PART.fullmatch(part.lower())
        if match is None or (match["from"] in ("*", "?") and match["to"] is not None):
            raise self._unreadable(part)
        step = 1 if match["step"] is None else int(match["step"])
        if step == 0:
            raise ValueError(f"{self.name} {part!r}: a step is 1 or more. Write {part.rpartition('/')[0]}/1")
        if match["from"] in ("*", "?"):
            return self.lowest, self.highest, step, step == 1
        low = self._number(match["from"], part)
        if match["to"] is not None:
            high = self._number(match["to"], part)
        else:
            high = low if match["step"] is None else self.highest
        if low > high:
            raise ValueError(
                f"{self.name} {part!r} goes backwards. "
                f"Write {match['from']}-{self.highest},{self.lowest}-{match['to']}"
            )
        return low, high, step, False

    def _number(self, text: str, part: str) -> int:
        if text in self.names:
            return self.names[text]
        if not text.isdigit():
            raise self._unreadable(part)
        number = int(text)
        if not self.lowest <= number <= self.highest:
            hint = ". Sunday is 0" if self is _WEEKDAY and number == 7 else ""
            raise ValueError(
                f"{self.name} {part!r} is out of range: it goes from {self.lowest} to {self.highest}{hint}"
            )
        return number

    def _unreadable(self, part: str) -> ValueError:
        if _OF_OTHER_CRONS.fullmatch(part.lower()):
            return ValueError(
                f"{self.name} {part!r} is of another kind of cron: there is no L, W, #, H or R here, as in a "
                f"CronJob. Write {self._choices()}"
            )
        return ValueError(f"{self.name} {part!r} cannot be read. Write {self._choices()}")

    def _choices(self) -> str:
        names = f" or {'|'.join(self.names)}" if self.names else ""
        return f"*, */5, or numbers from {self.lowest} to {self.highest}{names} as 1, 1-5, 1-5/2 or 1,3"


_SECOND = _Field("second", 0, 59, {})
_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)})
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAY = _Field("day of week", 0, 6, {name: number for number, name in enumerate(_WEEKDAYS)})


def _split(text: str) -> list[str]:
    """The six fields, seconds first."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ValueError(f"{text!r} names a time zone. Write it into the time zone's own field, not here")
    if text.startswith("@") and text not in NICKNAMES:
        raise ValueError(f"{text!r} is not known. Write five fields such as '*/5 * * * *', or {_nicknames()}")
    fields = NICKNAMES.get(text, text).split()
    match len(fields):
        case 5:
            return ["0", *fields]
        case 6:
            return fields
        case count:
            raise ValueError(
                f"{text!r} has {count} field{'' if count == 1 else 's'}. Write five: minute, hour, day of "
                f"month, month, day of week; or six, with the second first; or {_nicknames()}"
            )


def _nicknames() -> str:
    *most, last = NICKNAMES
    return f"{', '.join(most)} or {last}"
