"""Run one item's handler, from its data to an outcome. Knows nothing of Redis."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from bullherd_worker.context import JobContext, PlainJobContext
from bullherd_worker.errors import JobTimeoutError, UnrecoverableError
from bullherd_worker.item import Item
from bullherd_worker.outcome import Completed, Outcome, failure
from bullherd_worker.registry import JobKind
from bullherd_worker.threads import Threads


async def execute(
    kind: JobKind,
    item: Item,
    context: JobContext | PlainJobContext,
    threads: Threads,
    thread_grace_seconds: float,
) -> Outcome:
    """Validate, run, encode. Every way to fail becomes an outcome; only being cancelled from outside goes
    through.
    """
    try:
        if item.deferred_failure is not None:
            raise UnrecoverableError(item.deferred_failure)
        data = kind.read_data(item.data)
        if isinstance(context, PlainJobContext):
            value = await _in_thread(kind, data, context, threads, thread_grace_seconds)
        elif kind.timeout is None:
            value = await kind.handler(data, context)
        else:
            value = await _within(kind, data, context, kind.timeout)
        return Completed(kind.write_result(value))
    except (Exception, SystemExit) as error:  # noqa: BLE001 # whatever a handler raises is the item's failure
        return failure(error)


def _too_long(kind: JobKind) -> JobTimeoutError:
    return JobTimeoutError(f"Timed out: {kind.name!r} allows {kind.timeout:g} s for an attempt")


async def _within(kind: JobKind, data: Any, context: JobContext, seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await kind.handler(data, context)
    except TimeoutError:
        if not limit.expired():
            raise  # the handler's own
        raise _too_long(kind) from None
    finally:
        if limit.expired():
            context.cancel()


async def _in_thread(
    kind: JobKind, data: Any, context: PlainJobContext, threads: Threads, grace_seconds: float
) -> Any:
    """Wait for the thread; at the timeout ask it to stop, and leave it behind if it does not."""
    running = threads.start(partial(kind.handler, data, context))
    try:
        done, _ = await asyncio.wait({running}, timeout=kind.timeout)
        if done:
            return running.result()
        context.cancel()
        await asyncio.wait({running}, timeout=grace_seconds)
        raise _too_long(kind)
    finally:
        if running.done():
            running.exception()  # it may have ended late; nobody else looks at it
        else:
            threads.leave_behind(running)
