"""Floors: how many workers are kept at a time of day because a rush is known to come.

A floor begins whenever its schedule says so and lasts for its duration, in seconds that pass: where a clock
is changed meanwhile, it ends at another time of day than usual. One that begins again before its end goes on
from the later begin. Of several at once the highest counts, and of equals the one that lasts longest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from bullherd.api import QueueJob
from bullherd.api.floors import FloorSpec, duration_of
from bullherd.cron import CronSchedule


@dataclass(frozen=True, slots=True)
class Floor:
    """At least ``min_replicas`` for ``duration`` seconds from each time of the schedule."""

    schedule: CronSchedule
    duration: float
    min_replicas: int


@dataclass(frozen=True, slots=True)
class FloorNow:
    """The floor that holds now, 0 for none.

    ``until``: unix seconds when the answer may be another, None for never; ``reason``: a phrase for people.
    """

    min_replicas: int = 0
    until: float | None = None
    reason: str | None = None


def floors_of(job: QueueJob) -> tuple[Floor, ...]:
    """The floors of a QueueJob."""
    return tuple(floor_of(spec) for spec in job.spec.scaling.floors)


@lru_cache(maxsize=10_000)
def floor_of(spec: FloorSpec) -> Floor:
    """A floor as the resource has it. Asked for at each decision, and mostly the same one."""
    return Floor(
        CronSchedule.parse(spec.schedule, spec.time_zone),
        duration_of(spec.duration).total_seconds(),
        spec.min_replicas,
    )


def floor_at(floors: Iterable[Floor], now: float) -> FloorNow:
    """The highest of the floors that hold at ``now``, unix seconds."""
    moment = datetime.fromtimestamp(now, UTC)
    highest: tuple[int, float, Floor] | None = None
    changes: list[float] = []
    for floor in floors:
        end = _end(floor, moment)
        if end is not None and end > now:
            changes.append(end)
            if highest is None or (floor.min_replicas, end) > highest[:2]:
                highest = floor.min_replicas, end, floor
        else:
            following = floor.schedule.next_after(moment)
            if following is not None:
                changes.append(following.timestamp())
    until = min(changes, default=None)
    if highest is None:
        return FloorNow(until=until)
    replicas, end, floor = highest
    return FloorNow(replicas, until, f"floor {floor.schedule} of {replicas} until {_clock(floor, end, now)}")


def _end(floor: Floor, moment: datetime) -> float | None:
    begin = floor.schedule.last_at_or_before(moment)
    return None if begin is None else begin.timestamp() + floor.duration


def _clock(floor: Floor, end: float, now: float) -> str:
    """The time that a clock in the schedule's time zone shows, with its date if that is another day."""
    ends, today = (datetime.fromtimestamp(at, floor.schedule.zone) for at in (end, now))
    return ends.strftime("%H:%M" if ends.date() == today.date() else "%Y-%m-%d %H:%M")
