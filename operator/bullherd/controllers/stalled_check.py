"""BullMQ's stalled check, run regularly on the queues of one Redis server: at 0 replicas no worker does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.snapshot import QueueKey
from bullherd.telemetry.health import Pulse


async def recover_stalled(
    recovery: StalledRecovery,
    to_check: Callable[[], Sequence[QueueKey]],
    recovered: Callable[[QueueKey, tuple[str, ...]], None],
    pulse: Pulse,
) -> None:
    """Check until cancelled; ``recovered`` is told which items came back. What there is ``to_check`` is asked
    anew each time; a Redis that is away is asked later.
    """
    while True:
        try:
            results = await recovery.check(to_check(), time.time())
        except RedisUnavailable:
            results = {}
        for queue, items in results.items():
            if items and not isinstance(items, QueueUnreadable):
                recovered(queue, items)
        await _pause_beating(recovery.interval, pulse)


async def _pause_beating(seconds: float, pulse: Pulse) -> None:
    """Sleep, with beats, however long the interval is."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        pulse.beat()
        await asyncio.sleep(min(left, pulse.limit / 4))
