"""Waiting for work: BullMQ's marker.

Whoever adds an item puts member "0" into the queue's ``marker`` set, and whoever delays one puts "1" with the
due time as its score. Idle workers block on BZPOPMIN there; a marker wakes one of them.

The block runs on a connection of its own and is never cut short: when an item is due the worker fetches it by
its own clock (Redis ends blocks only every 100 ms), while this call goes on. So a marker can arrive when the
worker has become busy otherwise; it is then put back, for another worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import redis.asyncio
import structlog
from redis.exceptions import RedisError

LONGEST_BLOCK_S = 5.0
PAUSE_S = 1.0


class Markers:
    """Takes markers while somebody waits for them."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        key: bytes,
        *,
        accept: Callable[[bytes, float], bool],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._client = client
        self._key = key
        self._accept = accept
        self._log = log
        self._wanted = asyncio.Event()

    def want(self, wanted: bool) -> None:
        """Whether a marker would be of use now."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    async def run(self) -> None:
        """Take markers until cancelled. Outages are the link's to tell; here they are waited out."""
        while True:
            await self._wanted.wait()
            try:
                popped = await self._client.bzpopmin([self._key], timeout=LONGEST_BLOCK_S)
                if popped is not None:
                    _, member, score = cast(tuple[bytes, bytes, float], popped)
                    if not self._accept(member, score):
                        await self._client.zadd(self._key, {member: score})
            except (RedisError, OSError) as problem:
                self._log.debug("marker_wait_failed", problem=str(problem))
                await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
