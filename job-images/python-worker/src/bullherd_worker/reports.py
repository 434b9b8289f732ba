"""Progress and log lines of running items: they wait for Redis to come back rather than fail the handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bullherd_worker.errors import RedisAwayError
from bullherd_worker.link import Link
from bullherd_worker.queue_scripts import QueueScripts


class PatientReporter:
    """The ``context.Reporter`` of a worker."""

    def __init__(self, scripts: QueueScripts, link: Link) -> None:
        self._scripts = scripts
        self._link = link

    async def progress(self, item_id: bytes, value: bytes) -> None:
        """Set progress."""
        await self._until_sent(lambda: self._scripts.progress(item_id, value))

    async def log(self, item_id: bytes, line: str, keep: int | None) -> None:
        """Add a line; one that was sent when the connection broke may be there twice."""
        await self._until_sent(lambda: self._scripts.log(item_id, line, keep))

    async def _until_sent(self, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await send()
            except RedisAwayError:
                await self._link.up()
