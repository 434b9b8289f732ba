"""Lock renewal: one ``extendLocks`` per third of the lock's life for all running items.

An item whose lock Redis does not know any more, or whose lock must have run out while Redis was away, is
lost: no script of BullMQ locks it again, so its result could never be reported, and another worker may run it
already. Its handler is cancelled.
"""

from __future__ import annotations

import asyncio
import time

from redis.exceptions import ResponseError

from bullherd_worker.attempts import Attempts
from bullherd_worker.errors import RedisAwayError
from bullherd_worker.queue_scripts import QueueScripts
from bullherd_worker.running import Phase, Running

TICK_S = 1.0


class LockKeeper:
    """Keeps the locks of all running items."""

    def __init__(self, attempts: Attempts, scripts: QueueScripts, lock_seconds: float) -> None:
        self._attempts = attempts
        self._scripts = scripts
        self._lock_seconds = lock_seconds

    async def run(self) -> None:
        """Until cancelled."""
        period = self._lock_seconds / 3
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(min(TICK_S, period))
            if time.monotonic() - renewed_at >= period:
                renewed_at = time.monotonic()
                await self._renew(renewed_at)
            self._drop_expired(time.monotonic())

    async def _renew(self, sent_at: float) -> None:
        held = [run for run in self._attempts.running if run.phase in (Phase.HANDLING, Phase.REPORTING)]
        if not held:
            return
        try:
            lost = set(await self._scripts.extend_locks([(run.item.raw_id, run.token) for run in held]))
        except (RedisAwayError, ResponseError):
            return  # tried again at the next tick that is due; expiry is watched meanwhile
        for run in held:
            if run.item.raw_id in lost:
                self._attempts.tell_lost(run, "its lock is gone or another worker's")
            else:
                run.locked_until = sent_at + self._lock_seconds

    def _drop_expired(self, now: float) -> None:
        expired: list[Running] = [run for run in self._attempts.running if run.locked_until <= now]
        for run in expired:
            self._attempts.tell_lost(run, "Redis was away until its lock ran out")
