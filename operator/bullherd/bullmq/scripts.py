"""Running one Lua script for many queues in one round trip.

Very many take a few: packing and parsing hundreds takes milliseconds, in which the event loop does nothing
else.

A pipeline without MULTI: each queue is looked at (or changed) atomically, and other clients get their turn
between two queues. One queue's error stays its own.

After a restart or SCRIPT FLUSH the server has forgotten the script; then nothing has run, so it is loaded
and all is asked once more. Read-only scripts go by EVALSHA_RO, which replicas accept and in which Redis
itself refuses every write; Redis before 7.0, and users whose ACL does not name that command, get EVALSHA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from bullherd.bullmq.connection import RedisUnavailable, told_as_unavailable
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey

_AT_ONCE = 500
"""Queues in one round trip."""

# Answers that are about the server, not about the queue that was asked for.
_SERVER_TROUBLE = ("BUSY ", "MASTERDOWN ", "CLUSTERDOWN ", "NOAUTH ", "READONLY ", "OOM ", "MISCONF ")


@dataclass(frozen=True, slots=True)
class QueueUnreadable:
    """Redis answered, but not for this queue; nothing is known of it. ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """What the script gets for one queue."""

    queue: QueueKey
    keys: Sequence[str]
    arguments: Sequence[str | int]


class QueueScript:
    """One Lua script on one Redis."""

    def __init__(self, endpoint: RedisEndpoint, redis: Redis, source: str, *, read_only: bool) -> None:
        self._endpoint = endpoint
        self._redis = redis
        self._source = source
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._command = "EVALSHA_RO" if read_only else "EVALSHA"

    async def run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """What the script returned for each call, in order, or ``QueueUnreadable`` where it could not run.

        Raises ``RedisUnavailable`` when the trouble is the server's.
        """
        with told_as_unavailable(self._endpoint):
            replies = await self._send(calls)
            if self._command == "EVALSHA_RO" and any(map(_lacks_evalsha_ro, replies)):
                self._command = "EVALSHA"
                replies = await self._send(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                await self._redis.script_load(self._source)
                missed = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                for n, reply in zip(missed, await self._send([calls[n] for n in missed]), strict=True):
                    replies[n] = reply
        return [self._judged(call, reply) for call, reply in zip(calls, replies, strict=True)]

    async def _send(self, calls: Sequence[ScriptCall]) -> list[Any]:
        replies: list[Any] = []
        for first in range(0, len(calls), _AT_ONCE):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for call in calls[first : first + _AT_ONCE]:
                    pipeline.execute_command(
                        self._command, self._sha, len(call.keys), *call.keys, *call.arguments
                    )
                replies += await pipeline.execute(raise_on_error=False)
        return replies

    def _judged(self, call: ScriptCall, reply: Any) -> Any:
        if not isinstance(reply, ResponseError):
            return reply
        text = str(reply)
        if text.startswith(_SERVER_TROUBLE):
            raise RedisUnavailable(self._endpoint.address, text)
        name = f"{call.queue.prefix}:{call.queue.name}"
        if "WRONGTYPE" in text:
            return QueueUnreadable(
                f"A key of the queue {name} is not BullMQ's, so another program uses this prefix: {text}."
            )
        return QueueUnreadable(f"Redis refuses the queue {name}: {text}.")


def _lacks_evalsha_ro(reply: Any) -> bool:
    if isinstance(reply, NoPermissionError):
        return "evalsha_ro" in str(reply).lower()
    return isinstance(reply, ResponseError) and "unknown command" in str(reply).lower()
