"""An item that runs in this worker now."""

from __future__ import annotations

import asyncio
from enum import Enum

from bullherd_worker.context import JobContext, PlainJobContext
from bullherd_worker.item import Item


class Phase(Enum):
    """Where a running item is. Only its handler may be cancelled; a report is always let through."""

    HANDLING = 1
    REPORTING = 2
    #: Its lock is gone: report nothing.
    LOST = 3
    #: The worker drains and its time is up: put it back, no attempt counted.
    GIVING_BACK = 4


class Running:
    """One claimed item, the token that locks it, and the task that works it."""

    __slots__ = ("context", "item", "locked_until", "phase", "started", "task", "token")

    def __init__(
        self,
        item: Item,
        token: str,
        context: JobContext | PlainJobContext,
        *,
        started: float,
        locked_until: float,
    ) -> None:
        self.item = item
        self.token = token
        self.context = context
        self.started = started
        #: Monotonic time at which its lock in Redis has run out if it was not renewed.
        self.locked_until = locked_until
        self.phase = Phase.HANDLING
        self.task: asyncio.Task[None] | None = None

    def stop(self, why: Phase) -> bool:
        """Cancel the handler, if it still runs; says whether it did."""
        if self.phase is not Phase.HANDLING:
            return False
        self.phase = why
        self.context.cancel()
        if self.task is not None:
            self.task.cancel()
        return True
