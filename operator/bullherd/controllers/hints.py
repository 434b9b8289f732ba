"""Hints about the queues of one Redis server that are asleep: something happened, so a look is worth it.

Two loops. One keeps the set of streams that are listened to: a change is taken up at once, but not more often
than every ``_FOLLOW_PAUSE``, because each makes Redis and us go through all of them. The other waits for what
happens.

A queue is hinted once when it is first listened to: an item may have come between the read that sent it to
sleep and the bookmark in its stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress

from redis.asyncio import Redis

from bullherd.bullmq.connection import LONGEST_BLOCK_S, RedisUnavailable
from bullherd.bullmq.events import ActivityListener
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.telemetry.health import Pulse

_HINT_PAUSE = 0.03
"""Seconds between what happened and the hint. bullmq's addBulk is a pipeline, no transaction: a read in its
midst would make two steps of one. And a storm of adds to a paused queue must not become a storm of reads.
"""

_FOLLOW_PAUSE = 0.25
"""Seconds between two changes of what is listened to."""

_NOBODY: frozenset[QueueKey] = frozenset()


class Hints:
    """Listens until ``run`` is cancelled; ``look`` is to look at the queues that deserve it. It is awaited
    before listening goes on, so that a look need not wait until Redis has gone through all streams again.
    """

    def __init__(
        self,
        endpoint: RedisEndpoint,
        redis: Redis,
        look: Callable[[Set[QueueKey]], Awaitable[None]],
        retry: float,
    ) -> None:
        self._listener = ActivityListener(endpoint, redis)
        self._look = look
        self._retry = retry
        self._asleep: set[QueueKey] = set()
        self._changed = asyncio.Event()
        self._works = False

    @property
    def asleep(self) -> Set[QueueKey]:
        """The queues that hints are wanted of."""
        return self._asleep

    @property
    def heard(self) -> Set[QueueKey]:
        """The queues that are listened to, as far as one can know: a wait that failed is no listening."""
        return self._listener.followed if self._works else _NOBODY

    def set_asleep(self, queue: QueueKey, asleep: bool) -> None:
        """Whether hints about a queue are wanted."""
        if asleep != (queue in self._asleep):
            (self._asleep.add if asleep else self._asleep.discard)(queue)
            self._changed.set()

    async def run(self, pulse: Pulse) -> None:
        """Listen until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._hear(pulse))
        finally:
            await self._listener.close()

    async def _follow(self) -> None:
        while True:
            # Now and then without a change, too: a stream that could not be read may be one now.
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_BLOCK_S):
                    await self._changed.wait()
            self._changed.clear()
            try:
                fresh = await self._listener.follow(self._asleep)
            except RedisUnavailable:
                self._changed.set()
                await asyncio.sleep(self._retry)
                continue
            if fresh:
                await self._look(fresh)
            await asyncio.sleep(_FOLLOW_PAUSE)

    async def _hear(self, pulse: Pulse) -> None:
        while True:
            pulse.beat()
            try:
                active = await self._listener.wait_for_activity(LONGEST_BLOCK_S)
            except RedisUnavailable:
                # The tick says so to everyone concerned.
                self._works = False
                await asyncio.sleep(self._retry)
                continue
            self._works = True
            if active:
                await asyncio.sleep(_HINT_PAUSE)
                # One that was woken stays in the wait that is under way: leaving it would cost a connection.
                await self._look(active & self._asleep)
