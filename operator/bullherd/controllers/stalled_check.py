"""BullMQ's stalled check, run regularly on the queues of one Redis server: at 0 replicas no worker does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

import structlog

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.telemetry.health import Pulse
from bullherd.telemetry.watch_metrics import WatchMetrics

log = structlog.get_logger(__name__)


async def recover_stalled(
    endpoint: RedisEndpoint,
    queues: Collection[QueueKey],
    interval: float,
    max_stalled_count: int,
    metrics: WatchMetrics,
    pulse: Pulse,
) -> None:
    """Check until cancelled. ``queues`` is looked at anew each time; a Redis that is away is asked later."""
    recovery = StalledRecovery(endpoint, max_stalled_count=max_stalled_count, interval=interval)
    try:
        while True:
            try:
                recovered = await recovery.check(tuple(queues), time.time())
            except RedisUnavailable:
                recovered = {}
            for queue, items in recovered.items():
                # One that was let go meanwhile must not come back into the metrics.
                if items and not isinstance(items, QueueUnreadable) and queue in queues:
                    metrics.stalled_items.labels(endpoint.address, queue.prefix, queue.name).inc(len(items))
                    log.warning("items_recovered", queue=queue.name, prefix=queue.prefix, items=items)
            await _pause_beating(interval, pulse)
    finally:
        await recovery.close()


async def _pause_beating(seconds: float, pulse: Pulse) -> None:
    """Sleep, with beats, however long the interval is."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        pulse.beat()
        await asyncio.sleep(min(left, pulse.limit / 4))
