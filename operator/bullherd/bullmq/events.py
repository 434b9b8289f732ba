"""Hints that something happened in a queue, a millisecond after it did.

BullMQ writes every change of a queue to its events stream. One blocking XREAD waits for all followed queues
at once. A hint says only that a queue deserves a look: what is true, the snapshot says.

No wake is lost, if ``follow`` is called before the snapshot that says "nothing to do": from then on every
event is reported, by the ``wait_for_activity`` that runs or by the next one, because each stream has a
bookmark, which moves only when its queue was reported. It then moves to the stream's end as of before the
report, so the thousand events of one bulk add are one hint, and whatever the caller's snapshot cannot have
seen comes after the bookmark.

A stream that does not exist yet has the bookmark 0-0 and wakes with its first event. A key of another type
makes Redis refuse the whole XREAD, so such a queue is not followed; its snapshot tells the reason, and each
``follow`` tries again.

When queues are added while a wait is under way, the wait goes on with them. It has to drop its connection for
that; nothing is lost with it, since the bookmarks have not moved. A queue that is no longer followed is worth
no connection: Redis goes on to wait for it until the wait ends, and what it then tells is ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Set
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from bullherd.bullmq.connection import LONGEST_BLOCK_S, connect_blocking, told_as_unavailable
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey

_BEFORE_THE_FIRST = "0-0"


class ActivityListener:
    """Listens to queues of one Redis database. One task waits, on a connection of its own; others may
    ``follow``, with the client that they share.

    Every method raises ``RedisUnavailable``; after that, go on calling: the queues and their bookmarks are
    kept.
    """

    def __init__(self, endpoint: RedisEndpoint, redis: Redis) -> None:
        self._endpoint = endpoint
        self._redis = redis
        self._blocking = connect_blocking(endpoint)
        self._bookmarks: dict[QueueKey, str] = {}
        self._changed = asyncio.Event()
        self._changing = asyncio.Lock()

    @property
    def followed(self) -> Set[QueueKey]:
        """The queues that are listened to now."""
        return self._bookmarks.keys()

    async def follow(self, queues: Collection[QueueKey]) -> frozenset[QueueKey]:
        """Listen to exactly these queues from now on, and say which of them are new. Those that were followed
        keep their bookmarks.
        """
        async with self._changing:
            added = [queue for queue in queues if queue not in self._bookmarks]
            dropped = self._bookmarks.keys() - set(queues)
            ends = await self._ends(added)
            for queue in dropped:
                self._bookmarks.pop(queue, None)
            self._bookmarks |= ends
            if ends:
                self._changed.set()
            return frozenset(ends)

    async def wait_for_activity(self, timeout: float) -> frozenset[QueueKey]:  # noqa: ASYNC109 - a normal end
        """The queues in which something happened, as soon as there is one; none after ``timeout`` seconds.

        Cancelling it is safe: what was not reported will be.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (left := deadline - loop.time()) > 0:
            if active := await self._listen_until_changed(left):
                return active
        return frozenset()

    async def close(self) -> None:
        """Close its own connection."""
        await self._blocking.aclose()

    async def _listen_until_changed(self, seconds: float) -> frozenset[QueueKey]:
        self._changed.clear()
        listening = asyncio.create_task(self._listen(seconds))
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({listening, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            changed.cancel()
            await asyncio.gather(listening, changed, return_exceptions=True)
        # Nothing is awaited from here to the caller: a cancellation cannot come between bookmark and report.
        if listening.cancelled():
            return frozenset()
        ends = {queue: end for queue, end in listening.result().items() if queue in self._bookmarks}
        self._bookmarks |= ends
        return frozenset(ends)

    async def _listen(self, seconds: float) -> dict[QueueKey, str]:
        """The queues in which something happened, with the ends that their streams have by now."""
        if not self._bookmarks:
            await asyncio.sleep(seconds)
            return {}
        queues = {_stream(queue): queue for queue in self._bookmarks}
        bookmarks: dict[Any, Any] = {stream: self._bookmarks[queue] for stream, queue in queues.items()}
        block = max(1, int(min(seconds, LONGEST_BLOCK_S) * 1000))
        with told_as_unavailable(self._endpoint):
            try:
                reply: Any = await self._blocking.xread(bookmarks, count=1, block=block)
            except ResponseError:
                if not await self._stop_following_unreadable():
                    raise
                return {}
        told = [queues[stream] for stream, _ in reply]
        return await self._ends([queue for queue in told if queue in self._bookmarks])

    async def _stop_following_unreadable(self) -> bool:
        asked = tuple(self._bookmarks)  # another task may follow others meanwhile
        unreadable = set(asked) - (await self._ends(asked)).keys()
        for queue in unreadable:
            self._bookmarks.pop(queue, None)
        return bool(unreadable)

    async def _ends(self, queues: Collection[QueueKey]) -> dict[QueueKey, str]:
        """The id of each stream's last event; queues whose stream cannot be read are left out."""
        if not queues:
            return {}
        with told_as_unavailable(self._endpoint):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for queue in queues:
                    pipeline.xrevrange(_stream(queue), count=1)
                replies = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, ResponseError) and not _is_about_one_queue(reply):
                    raise reply
        return {
            queue: reply[0][0] if reply else _BEFORE_THE_FIRST
            for queue, reply in zip(queues, replies, strict=True)
            if not isinstance(reply, ResponseError)
        }


def _is_about_one_queue(error: ResponseError) -> bool:
    """A key of another type, or one that the ACL hides; a command that the ACL forbids is about all."""
    text = str(error)
    return "WRONGTYPE" in text or (isinstance(error, NoPermissionError) and "command" not in text)


def _stream(queue: QueueKey) -> str:
    return queue.key_prefix + "events"
