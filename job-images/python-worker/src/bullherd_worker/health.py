"""Is this worker of use? Pure: ``/healthz`` and the tests ask with their own ``now``.

An idle worker is healthy, and so is one whose items take long: its loop turns at least every few seconds
either way. A worker that has lost Redis for long, whose loop stands still or whose places are all held by
threads that nobody waits for can only be mended by a restart.
"""

from __future__ import annotations

from dataclasses import dataclass

LOOP_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What health is judged by; times are monotonic seconds."""

    loop_turned_at: float
    redis_away_since: float | None
    threads_left_behind: int
    concurrency: int
    draining: bool


def problems(vitals: Vitals, now: float, redis_away_seconds: float) -> list[str]:
    """What is wrong, in sentences; nothing when all is well."""
    found = []
    if vitals.redis_away_since is not None and now - vitals.redis_away_since > redis_away_seconds:
        away = now - vitals.redis_away_since
        found.append(f"Redis has not answered for {away:.0f} s (limit {redis_away_seconds:.0f} s)")
    if not vitals.draining and now - vitals.loop_turned_at > LOOP_LIMIT_S:
        found.append(f"The fetch loop has not turned for {now - vitals.loop_turned_at:.0f} s")
    if vitals.threads_left_behind >= vitals.concurrency:
        found.append(f"All {vitals.concurrency} places are held by plain functions that did not end in time")
    return found
