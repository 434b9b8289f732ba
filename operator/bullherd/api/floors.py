"""Floors: times at which a queue has workers before anything waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from bullherd.api.base import ApiModel
from bullherd.api.rules import Rule
from bullherd.api.values import Int32, matching
from bullherd.cron import CronSchedule, zone_named

_DURATION = r"([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?"
_LONGEST = timedelta(days=7)


def duration_of(text: str) -> timedelta:
    """``2h30m`` as a duration. The text must be one that the model accepts."""
    match = re.fullmatch(_DURATION, text, re.ASCII)
    assert match is not None
    hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _is_duration(text: str) -> bool:
    return (
        re.fullmatch(_DURATION, text, re.ASCII) is not None and timedelta(0) < duration_of(text) <= _LONGEST
    )


def _readable_by(parse: Callable[[str], object]) -> AfterValidator:
    """What the schema's rule lets through is parsed whole; only the operator can."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as problem:
            raise PydanticCustomError("rule", "{message}", {"message": str(problem)}) from None
        return text

    return AfterValidator(check)


class FloorSpec(ApiModel):
    """A time at which a rush is known to come, and how many workers are to wait for it."""

    schedule: Annotated[
        str,
        Field(min_length=1, max_length=200),
        matching(
            r"@[a-z]+|\s*[0-9A-Za-z*?,/-]+(\s+[0-9A-Za-z*?,/-]+){4,5}\s*",
            "a schedule has five fields (minute, hour, day of month, month, day of week), as in 0 8 * * 1-5; "
            "or six, with the second first; or is one of @yearly, @monthly, @weekly, @daily and @hourly",
        ),
        _readable_by(CronSchedule.parse),
    ]
    """When the floor begins: a cron schedule, as a CronJob reads it, or six fields with the second first. A
    time that the clock skips is left out; one that it shows twice begins the floor twice."""
    time_zone: Annotated[
        str,
        Field(min_length=1, max_length=64),
        matching(r"[A-Za-z0-9_+/-]+", "a time zone is an IANA name such as Europe/Berlin or UTC"),
        _readable_by(zone_named),
    ] = "UTC"
    """The time zone whose clock the schedule is read on: an IANA name such as Europe/Berlin."""
    duration: Annotated[
        str,
        Field(min_length=2, max_length=24),
        Rule(
            f"self.matches('^{_DURATION}$') && duration(self) > duration('0s') && "
            f"duration(self) <= duration('{int(_LONGEST.total_seconds())}s')",
            "a duration is hours, minutes and seconds, such as 2h30m, 90m or 45s: more than 0s, at most 168h",
            _is_duration,
        ),
    ]
    """How long the floor lasts, such as 2h30m, 90m or 45s, and 168h at most, whatever clocks do."""
    min_replicas: Annotated[Int32, Field(ge=1, le=10_000)]
    """Workers to keep while it lasts, but never more than maxReplicas. Of several floors at once the highest
    counts."""
