"""BullMQ's stalled check: any worker of the queue may do it, one per interval does."""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import ResponseError

from bullherd_worker.errors import RedisAwayError
from bullherd_worker.link import Link
from bullherd_worker.metrics import Metrics
from bullherd_worker.queue_scripts import QueueScripts


class StalledCheck:
    """Puts items back whose worker is gone: their locks have run out."""

    def __init__(
        self,
        scripts: QueueScripts,
        link: Link,
        *,
        max_stalled: int,
        interval_ms: int,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._scripts = scripts
        self._link = link
        self._max_stalled = max_stalled
        self._interval_ms = interval_ms
        self._metrics = metrics
        self._log = log

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                recovered = await self._scripts.recover_stalled(self._max_stalled, self._interval_ms)
                if recovered:
                    self._metrics.stalled_recovered.inc(len(recovered))
                    self._log.warning(
                        "worker_stalled_recovered",
                        jobIds=[raw_id.decode(errors="replace") for raw_id in recovered],
                    )
            except RedisAwayError:
                await self._link.up()
                continue
            except ResponseError as problem:
                self._log.error("worker_stalled_check_refused", problem=str(problem))
            await asyncio.sleep(self._interval_ms / 1000)
