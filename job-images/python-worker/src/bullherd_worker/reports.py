"""Progress and log lines of running items.

They never fail a handler: they wait for a Redis that is away, and one that refuses them (out of memory) is
told to the log. What a line said is worth less than the work that wrote it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from redis.exceptions import ResponseError

from bullherd_worker.errors import RedisAwayError
from bullherd_worker.link import Link
from bullherd_worker.queue_scripts import QueueScripts


class PatientReporter:
    """The ``context.Reporter`` of a worker."""

    def __init__(self, scripts: QueueScripts, link: Link, log: structlog.typing.FilteringBoundLogger) -> None:
        self._scripts = scripts
        self._link = link
        self._log = log

    async def progress(self, item_id: bytes, value: bytes) -> None:
        """Set progress."""
        await self._send(item_id, lambda: self._scripts.progress(item_id, value))

    async def log(self, item_id: bytes, line: str, keep: int | None) -> None:
        """Add a line; one that was sent when the connection broke may be there twice."""
        await self._send(item_id, lambda: self._scripts.log(item_id, line, keep))

    async def _send(self, item_id: bytes, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await send()
            except RedisAwayError:
                await self._link.up()
            except ResponseError as problem:
                self._log.warning(
                    "worker_note_refused", jobId=item_id.decode(errors="replace"), problem=str(problem)
                )
                return None
