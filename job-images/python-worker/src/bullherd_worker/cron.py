"""The next time of a cron pattern in a time zone. Pure.

croniter is right about naive local time and wrong across clock changes, so it only iterates local times here;
which instants those are is decided below, as Node's cron-parser does:

- A pattern for every hour follows real time: what the clock shows twice happens twice, what it skips does not
  happen.
- A pattern for certain hours means a time of day: shown twice, it happens the first time; skipped, it happens
  as much later as the clock jumped.

The second rule also holds where midnight is skipped: there cron-parser drops the day, and we do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter  # type: ignore[import-untyped]
from croniter.croniter import CroniterBadDateError, CroniterError  # type: ignore[import-untyped]

HOURS_IN_DAY = 24
NEAR = timedelta(hours=3)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# cron-parser's; croniter knows fewer, and moves its own by the seed of ``H``.
NICKNAMES = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@secondly": "* * * * * *",
    "@minutely": "0 * * * * *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}


class PatternError(ValueError):
    """The pattern or the time zone cannot be read."""


def next_cron_ms(pattern: str, zone_name: str, after_ms: int, seed: str) -> int | None:
    """The first time after ``after_ms`` (both Unix ms), or None if there is none; ``seed`` fixes what ``H``
    stands for.
    """
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PatternError(f"there is no time zone {zone_name!r}") from None
    after = EPOCH + timedelta(milliseconds=after_ms)
    try:
        first = _first_after(_Pattern(pattern, seed), zone, after)
    except CroniterBadDateError:
        return None
    except (CroniterError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise PatternError(f"{pattern!r} is not a cron pattern that can be read here: {problem}") from None
    return (first - EPOCH) // timedelta(milliseconds=1)


class _Pattern:
    def __init__(self, text: str, seed: str) -> None:
        self._text = _to_croniter(text)
        self._seed = seed.encode()
        hours = self._iterator(datetime(2000, 1, 1)).expanded[1]  # noqa: DTZ001 # naive local time
        self.every_hour = hours == ["*"] or len(hours) == HOURS_IN_DAY

    def _iterator(self, start: datetime) -> croniter:
        return croniter(self._text, start, second_at_beginning=True, hash_id=self._seed)

    def after(self, start: datetime) -> Iterator[datetime]:
        """Naive local times after ``start``."""
        iterator = self._iterator(start)
        while True:
            yield iterator.get_next(datetime)


def _first_after(pattern: _Pattern, zone: ZoneInfo, after: datetime) -> datetime:
    """Local times ascend and their instants do not, within one clock change of each other: there, look
    around.
    """
    start = after.astimezone(zone).replace(tzinfo=None)
    best: datetime | None = None
    until: datetime | None = None
    for local in pattern.after(start - _jump_near(zone, after)):
        if best is not None and (until is None or local > until):
            return best
        for instant in _instants(local, zone, pattern.every_hour):
            if instant > after and (best is None or instant < best):
                best = instant
                jump = _jump_near(zone, instant)
                until = local + jump if jump else None
        if best is not None and until is None:
            return best
    raise AssertionError("croniter's iterator never ends")


def _jump_near(zone: ZoneInfo, instant: datetime) -> timedelta:
    """By how much the clock changes within a few hours of ``instant``; mostly not at all."""
    offsets = [_offset(zone, instant + shift) for shift in (-NEAR, timedelta(0), NEAR)]
    return max(offsets) - min(offsets)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _instants(local: datetime, zone: ZoneInfo, every_hour: bool) -> list[datetime]:
    """When the clock shows ``local``: once, twice or never; see the rules at the top."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if not every_hour:
        return [first]
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return [instant for instant in (first, second) if instant.astimezone(zone).replace(tzinfo=None) == local]


def _to_croniter(text: str) -> str:
    """cron-parser's spelling as croniter reads it: ``5L`` (last Friday) is ``L5`` there."""
    fields = NICKNAMES.get(text.strip().lower(), text).split()
    if len(fields) in (5, 6):
        fields[-1] = re.sub(r"\b([0-7])L\b", lambda match: f"L{int(match[1]) % 7}", fields[-1])
        fields[-1], fields[-3] = (re.sub(r"^\?$", "*", field) for field in (fields[-1], fields[-3]))
    return " ".join(fields)
