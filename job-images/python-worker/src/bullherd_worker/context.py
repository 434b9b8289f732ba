"""What a handler gets beside its data.

``JobContext`` is for ``async def`` handlers. ``PlainJobContext`` is for plain functions, which run in a
thread: the same, with calls that block until Redis has the value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Protocol

import pydantic_core

CALL_LIMIT_S = 60.0


class Reporter(Protocol):
    """Where progress and log lines of a running item go."""

    async def progress(self, item_id: bytes, value: bytes) -> None: ...

    async def log(self, item_id: bytes, line: str, keep: int | None) -> None: ...


class _Context:
    """What both kinds share: who the item is, and whether to go on."""

    __slots__ = ("_cancelled", "_keep_logs", "_raw_id", "_reporter", "attempt", "due", "id", "name", "queue")

    def __init__(
        self,
        *,
        raw_id: bytes,
        item_id: str,
        name: str,
        queue: str,
        attempt: int,
        reporter: Reporter,
        due: datetime | None = None,
        keep_logs: int | None = None,
    ) -> None:
        self._raw_id = raw_id
        self._reporter = reporter
        self._keep_logs = keep_logs
        self._cancelled = False
        #: The item's id in BullMQ: a good idempotency key, for delivery is at-least-once.
        self.id = item_id
        #: The item's name, as the web app gave it to ``queue.add``.
        self.name = name
        self.queue = queue
        #: Which attempt this is, from 1.
        self.attempt = attempt
        #: When it was meant to run, the same for every attempt; None if Redis does not say.
        self.due = due

    @property
    def cancelled(self) -> bool:
        """True once the result is not wanted any more: timeout, lost lock, or the pod is going. Long loops
        ask this.
        """
        return self._cancelled

    def cancel(self) -> None:
        """Tell the handler to stop. The runtime's call."""
        self._cancelled = True


class JobContext(_Context):
    """For ``async def`` handlers."""

    __slots__ = ()

    async def progress(self, value: Any) -> None:
        """Set the item's progress: a number, or anything that JSON can hold."""
        await self._reporter.progress(self._raw_id, pydantic_core.to_json(value, inf_nan_mode="null"))

    async def log(self, line: str) -> None:
        """Add a line to the item's log in Redis, where dashboards show it."""
        await self._reporter.log(self._raw_id, line, self._keep_logs)


class PlainJobContext(_Context):
    """For plain functions, which run in a thread."""

    __slots__ = ("_loop",)

    def __init__(self, *, loop: asyncio.AbstractEventLoop, **fields: Any) -> None:
        super().__init__(**fields)
        self._loop = loop

    def progress(self, value: Any) -> None:
        """Set the item's progress: a number, or anything that JSON can hold."""
        self._wait(self._reporter.progress(self._raw_id, pydantic_core.to_json(value, inf_nan_mode="null")))

    def log(self, line: str) -> None:
        """Add a line to the item's log in Redis, where dashboards show it."""
        self._wait(self._reporter.log(self._raw_id, line, self._keep_logs))

    def _wait(self, call: Awaitable[None]) -> None:
        async def do() -> None:
            await call

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(CALL_LIMIT_S)
