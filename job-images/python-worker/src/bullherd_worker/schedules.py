"""When a job scheduler makes its next item, and with which options. Pure.

The worker that claims a scheduler's item computes the time of the next one, before it runs. Node workers do
the same, so the answer must be Node's, also where a time zone changes its clocks (see cron.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bullherd_worker.cron import PatternError, next_cron_ms


class ScheduleError(Exception):
    """The schedule of an item cannot be read; the message says which part."""


@dataclass(frozen=True, slots=True)
class NextRun:
    """The next item of a scheduler."""

    at_ms: int
    options: dict[str, Any]


def next_run(options: dict[str, Any], scheduler_id: str, now_ms: int) -> NextRun | None:
    """What follows the item with these ``options``, or None when its limit or end date is reached."""
    repeat = dict(options.get("repeat") or {})
    repeat.pop("immediately", None)
    pattern = repeat.get("pattern") or repeat.get("cron")
    every = repeat.get("every")
    if not pattern and not every:
        raise ScheduleError("its options have neither repeat.pattern nor repeat.every")
    count = int(repeat.get("count") or 0) + 1
    limit = repeat.get("limit")
    if limit is not None and count > limit:
        return None
    end, start = as_ms(repeat.get("endDate")), as_ms(repeat.get("startDate"))
    if end is not None and now_ms > end:
        return None
    base = max(now_ms, int(options.get("prevMillis") or 0))
    at_ms = base
    if pattern:
        zone = "UTC" if repeat.get("utc") else repeat.get("tz") or "UTC"
        try:
            following = next_cron_ms(str(pattern), str(zone), max(base, start or 0), scheduler_id)
        except PatternError as problem:
            raise ScheduleError(str(problem)) from None
        if following is None or (end is not None and following > end):
            return None
        at_ms = following
    kept = {
        "offset": repeat.get("offset") if every else None,
        "count": count,
        "startDate": start,
        "endDate": end,
    }
    # For `every` the script itself computes the time, from its own record of the last one.
    own = {
        **options,
        "timestamp": now_ms,
        "delay": max(at_ms - now_ms, 0),
        "prevMillis": at_ms if pattern else None,
        "repeatJobKey": scheduler_id,
        "repeat": _present({**repeat, **kept}),
    }
    return NextRun(at_ms, _present(own))


def as_ms(value: Any) -> int | None:
    """A date as JSON may hold it (Unix milliseconds or ISO 8601 text) as Unix milliseconds."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return int(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ScheduleError(f"{value!r} is not a date") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
