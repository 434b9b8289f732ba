"""The end of a worker: running items may finish in time, the rest is given back, nothing stays claimed."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from redis.exceptions import ResponseError

from bullherd_worker.attempts import Attempts
from bullherd_worker.errors import RedisAwayError
from bullherd_worker.queue_scripts import QueueScripts
from bullherd_worker.running import Phase

STOP_SECONDS = 2.0


async def finish(
    attempts: Attempts,
    scripts: QueueScripts,
    claims: asyncio.Task[None],
    *,
    seconds: float,
    hurry: asyncio.Event,
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    """Wait up to ``seconds`` for what runs, or until ``hurry``; then cancel and give back what is left.

    ``claims`` is the task that claims items. It is ending, but an answer that it waits for may be an item
    yet: that one is given back at once, and the worker must not be gone before.
    """
    running = attempts.running
    log.info("worker_draining", running=len(running))
    limit = time.monotonic() + seconds
    while (running or not claims.done()) and time.monotonic() < limit and not hurry.is_set():
        await _one_ended(attempts, claims, hurry, min(limit - time.monotonic(), 0.5))
    for run in list(running):
        run.stop(Phase.GIVING_BACK)
    await _all_ended(attempts, STOP_SECONDS)
    for run in list(running):
        if run.phase is Phase.GIVING_BACK:
            await attempts.give_back(run)
    with contextlib.suppress(RedisAwayError, ResponseError):
        await scripts.nudge()
    log.info("worker_stopped")


async def _one_ended(
    attempts: Attempts, claims: asyncio.Task[None], hurry: asyncio.Event, seconds: float
) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            tasks = [run.task for run in attempts.running if run.task is not None]
            tasks += [] if claims.done() else [claims]
            hurried = asyncio.create_task(hurry.wait())
            try:
                await asyncio.wait({*tasks, hurried}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                hurried.cancel()


async def _all_ended(attempts: Attempts, seconds: float) -> None:
    tasks = {run.task for run in attempts.running if run.task is not None}
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
