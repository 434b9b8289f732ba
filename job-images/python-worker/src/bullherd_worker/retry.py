"""What becomes of a failed attempt: retried now, retried later, or failed for good. Pure.

The arithmetic is Node's (``job.shouldRetryJob`` and ``Backoffs``), so that it does not matter which language
worked an attempt. Two departures keep an item from getting lost where Node would throw: a backoff type that
this worker does not know waits its fixed delay, and no delay is longer than a year, because the scores of
BullMQ's delayed set overflow beyond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

LONGEST_DELAY_MS = 365 * 24 * 3600 * 1000
UNKNOWN_BACKOFF_DELAY_MS = 1000


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Back to the waiting items at once."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Back to the waiting items after ``delay_ms``."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class FailForGood:
    """Into the failed set."""


Decision = RetryNow | RetryLater | FailForGood


def decide(
    *, attempts: float, attempts_made: int, backoff: Any, recoverable: bool, chance: float
) -> Decision:
    """What to do after an attempt failed. ``attempts_made`` does not count it yet; ``chance`` in [0, 1) is
    for jitter.
    """
    if not recoverable or attempts_made + 1 >= attempts:
        return FailForGood()
    delay = backoff_delay(backoff, attempts_made + 1, chance)
    if delay == -1:
        return FailForGood()
    return RetryLater(delay) if delay > 0 else RetryNow()


def backoff_delay(backoff: Any, attempt: int, chance: float) -> int:
    """Milliseconds to wait after ``attempt`` failed: 0 is at once, and -1 is BullMQ's word for never."""
    if isinstance(backoff, int | float) and not isinstance(backoff, bool):
        backoff = {"type": "fixed", "delay": backoff}
    if not isinstance(backoff, dict):
        return 0
    delay = min(max(_finite(backoff.get("delay")), -1.0), LONGEST_DELAY_MS)
    jitter = min(max(_finite(backoff.get("jitter")), 0.0), 1.0)
    kind = backoff.get("type")
    if delay == -1:
        return -1
    if kind == "exponential":
        # 2^60 ms is far beyond the cap; a larger power would only overflow a float.
        delay = _round_half_up(2.0 ** min(attempt - 1, 60) * delay)
    elif kind != "fixed" and delay <= 0:
        delay = UNKNOWN_BACKOFF_DELAY_MS
    if jitter > 0:
        delay = math.floor(chance * delay * jitter + delay * (1 - jitter))
    return int(min(max(delay, 0), LONGEST_DELAY_MS))


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return float(value)


def _round_half_up(value: float) -> float:
    """JavaScript's ``Math.round``; Python's rounds halves to even."""
    return math.floor(value + 0.5)
