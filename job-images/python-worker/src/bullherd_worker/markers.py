"""Waiting for work: BullMQ's marker.

Whoever adds an item puts member "0" into the queue's ``marker`` set, and whoever delays one puts "1" with the
due time as its score. Idle workers block on BZPOPMIN there; a marker wakes one of them.

The block runs on a connection of its own and is never cut short: when an item is due the worker fetches it by
its own clock (Redis ends blocks only every 100 ms), while this call goes on. So a marker can arrive when the
worker has become busy otherwise; it is then put back, for another worker.

It is a bare connection, not redis-py's client: the client's read timeout is 5 s unless told otherwise,
shorter than a block, and with a timeout it sends through ``asyncio.wait_for``, which in Python 3.11 can lose
a cancel.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

LONGEST_BLOCK_S = 5.0
ANSWER_LIMIT_S = LONGEST_BLOCK_S + 10
PAUSE_S = 1.0


class Markers:
    """Takes markers while somebody waits for them."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        key: bytes,
        *,
        accept: Callable[[bytes, float], bool],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._make = connect
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
            connection = self._make()
            try:
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    await connection.connect()  # type: ignore[no-untyped-call]
                await self._take(connection)
            except (RedisError, OSError, TimeoutError) as problem:
                self._log.debug("marker_wait_failed", problem=str(problem))
                await asyncio.sleep(PAUSE_S)
            finally:
                await connection.disconnect(nowait=True)

    async def _take(self, connection: Connection) -> None:
        while True:
            await self._wanted.wait()
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await connection.send_command("BZPOPMIN", self._key, LONGEST_BLOCK_S)
                popped = await connection.read_response(timeout=math.inf)
                if popped is None:
                    continue
                _, member, score = popped
                if not self._accept(member, float(score)):
                    await connection.send_command("ZADD", self._key, score, member)
                    await connection.read_response(timeout=math.inf)
