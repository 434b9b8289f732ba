"""One pipelined Redis connection for all of a worker's calls.

redis-py's client gives a connection to one caller at a time and reads each reply before the next command goes
out: per call that costs more than BullMQ's script itself. Here every caller puts its command into one buffer,
a writer sends what has gathered since it last ran in one write, and a reader hands the replies out in order.
redis-py still makes the connection (TLS, login, database) and parses the replies.

A lost connection fails every call that still waits for its reply with ``RedisAwayError``: the command may or
may not have been run, and only the caller knows what that means. Reconnecting goes on for ever, with growing
pauses; before the first caller gets the new connection, ``on_connect`` puts the world in order on it (load
scripts, give back items that a lost reply claimed). A server that is frozen or gone without a word is noticed
by the oldest reply it owes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from bullherd_worker.errors import RedisAwayError

Argument = bytes | str | int
CHECK_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0


class Link:
    """The connection. ``run`` keeps it up; ``call`` uses it."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        on_connect: Callable[[Connection], Awaitable[None]],
        *,
        on_up: Callable[[], None],
        reply_seconds: float,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._make = connect
        self._on_connect = on_connect
        self._on_up = on_up
        self._reply_seconds = reply_seconds
        self._log = log
        self._is_up = asyncio.Event()
        self._output: list[bytes] = []
        self._has_output = asyncio.Event()
        self._owed: deque[tuple[asyncio.Future[Any], float]] = deque()
        #: Monotonic time since which Redis does not answer; None while it does.
        self.away_since: float | None = time.monotonic()
        self._told_away = False

    @property
    def is_up(self) -> bool:
        """Whether a call would be sent now."""
        return self._is_up.is_set()

    async def up(self) -> None:
        """Wait until there is a connection."""
        await self._is_up.wait()

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """Send one command; the future has the reply. Raises ``RedisAwayError`` at once while there is no
        connection.
        """
        if not self._is_up.is_set():
            raise RedisAwayError("There is no connection to Redis")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._output.append(hiredis.pack_command(cast(Any, command)))
        self._owed.append((reply, time.monotonic()))
        self._has_output.set()
        return reply

    async def run(self) -> None:
        """Connect, serve until the connection is lost, connect again; ends only by being cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            connection = self._make()
            try:
                # redis-py ends neither its handshake nor our on_connect when the server accepts and then says
                # nothing.
                async with asyncio.timeout(self._reply_seconds):
                    await connection.connect()  # type: ignore[no-untyped-call]
                    await self._on_connect(connection)
                self._came_up()
                pause = FIRST_PAUSE_S
                await self._serve(connection)
            except (RedisError, OSError, TimeoutError) as problem:
                self._went_away(problem)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            finally:
                self._is_up.clear()
                self._fail_owed()
                await connection.disconnect(nowait=True)

    def _came_up(self) -> None:
        if self._told_away:
            self._log.info("redis_back")
        self._told_away = False
        self.away_since = None
        self._output.clear()
        self._is_up.set()
        self._on_up()

    def _went_away(self, problem: Exception) -> None:
        if self.away_since is None:
            self.away_since = time.monotonic()
        if not self._told_away:
            # Once per outage: reconnecting goes on by itself.
            self._log.error("redis_away", problem=str(problem) or type(problem).__name__)
            self._told_away = True

    def _fail_owed(self) -> None:
        for reply, _ in self._owed:
            if not reply.done():
                reply.set_exception(RedisAwayError("The connection to Redis was lost before the reply came"))
        self._owed.clear()

    async def _serve(self, connection: Connection) -> None:
        """Read and write until one of them fails, or a reply is overdue."""
        parts = {asyncio.create_task(self._read(connection)), asyncio.create_task(self._write(connection))}
        try:
            while True:
                done, _ = await asyncio.wait(parts, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    part.result()
                if self._owed and time.monotonic() - self._owed[0][1] > self._reply_seconds:
                    raise TimeoutError(f"Redis did not answer for {self._reply_seconds:.0f} s")
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._has_output.wait()
            self._has_output.clear()
            gathered, self._output = self._output, []
            await connection.send_packed_command(gathered, check_health=False)

    async def _read(self, connection: Connection) -> None:
        owed = self._owed
        while True:
            try:
                answer = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            except ReadOnlyError:
                # A failover made this server a replica: the next connection finds the new primary.
                raise
            except ResponseError as refusal:
                reply, _ = owed.popleft()
                if not reply.done():
                    reply.set_exception(refusal)
                continue
            reply, _ = owed.popleft()
            if not reply.done():
                reply.set_result(answer)
