"""One Redis server and the queues on it that are managed: the tick, the hints and the stalled check.

A read that fails leaves the last good snapshot and says why; the owners are told once. All three loops go on
for as long as the server is watched: a Redis that is away makes them wait longer, never end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import structlog

from bullherd.bullmq.connection import LONGEST_BLOCK_S, RedisUnavailable, connect
from bullherd.bullmq.events import ActivityListener
from bullherd.bullmq.holders import HolderReader
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.snapshots import QueueReader
from bullherd.controllers.stalled_check import recover_stalled
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from bullherd.telemetry.health import Health, Pulse
from bullherd.telemetry.watch_metrics import WatchMetrics

log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 5.0
"""Seconds between two tries to read a server that is away."""

_HINT_PAUSE = 0.03
"""Seconds between a hint and the read for it. bullmq's addBulk is a pipeline, no transaction: a read in its
midst would make two steps of one. And a storm of adds to a paused queue must not become a storm of reads.
"""

_PULSE_LIMIT = 60.0
"""Seconds beyond a tick without a turn after which a loop counts as stuck; more than any other wait in it."""

_Loop = Callable[[Pulse], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class WatchIntervals:
    """Seconds, and how often an item may stall before it fails. ``stalled_check`` None: whoever watches
    changes nothing in Redis.
    """

    tick: float
    stalled_check: float | None
    max_stalled_count: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """The last good look at a queue, and why the newest one failed, if it did."""

    snapshot: QueueSnapshot | None = None
    problem: str | None = None


class ServerWatch:
    """Reads its queues until ``run`` is cancelled; ``changed`` is called for each queue that differs from
    before.
    """

    def __init__(
        self,
        endpoint: RedisEndpoint,
        changed: Callable[[QueueKey], None],
        intervals: WatchIntervals,
        health: Health,
        metrics: WatchMetrics,
    ) -> None:
        self._endpoint = endpoint
        self._changed = changed
        self._intervals = intervals
        self._health = health
        self._metrics = metrics
        self._readings: dict[QueueKey, Reading] = {}
        self._asked_at: dict[QueueKey, float] = {}
        self._asleep: set[QueueKey] = set()
        self._asleep_changed = asyncio.Event()
        self._read_now = asyncio.Event()
        self._next_tick_at = 0.0
        self._client = connect(endpoint)
        self.holders = HolderReader(endpoint, self._client)

    @property
    def queues(self) -> Collection[QueueKey]:
        """The queues that are read."""
        return self._readings.keys()

    def add(self, queue: QueueKey) -> None:
        """Begin to read a queue, at once."""
        self._readings.setdefault(queue, Reading())
        self._read_now.set()

    def remove(self, queue: QueueKey) -> None:
        """Read a queue no more."""
        self._readings.pop(queue, None)
        self._asked_at.pop(queue, None)
        self.set_asleep(queue, asleep=False)
        self._metrics.forget_queue(self._endpoint.address, queue)

    def reading(self, queue: QueueKey) -> Reading:
        """The newest look at a queue."""
        return self._readings[queue]

    def set_asleep(self, queue: QueueKey, asleep: bool) -> None:
        """Whether to listen for hints about a queue."""
        if asleep == (queue in self._asleep):
            return
        (self._asleep.add if asleep else self._asleep.discard)(queue)
        self._asleep_changed.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        limit = _PULSE_LIMIT + self._intervals.tick
        loops: dict[str, _Loop] = {"tick": self._tick, "hints": self._listen}
        if (interval := self._intervals.stalled_check) is not None:
            most = self._intervals.max_stalled_count
            loops["stalled check"] = partial(
                recover_stalled, self._endpoint, self.queues, interval, most, self._metrics
            )
        pulses = {
            loop: self._health.pulse(f"{loop} of Redis {self._endpoint.address}", limit) for loop in loops
        }
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop, run in loops.items():
                    tasks.create_task(run(pulses[loop]))
        except asyncio.CancelledError:
            for pulse in pulses.values():
                self._health.end(pulse)
            raise
        except Exception as error:
            # The pulses stay and fall silent, so /healthz tells of it; a restart is the honest repair.
            log.error("server_watch_failed", redis=self._endpoint.address, exc_info=error)
            raise
        finally:
            await self._client.aclose()

    async def _tick(self, pulse: Pulse) -> None:
        reader = QueueReader(self._endpoint)
        pause = self._intervals.tick
        try:
            while True:
                pulse.beat()
                self._read_now.clear()
                self._next_tick_at = 0.0
                readable = await self._read(reader, tuple(self._readings))
                pause = self._intervals.tick if readable else min(pause * 2, _LONGEST_PAUSE)
                until_next = min(pause, self._until_next_due()) if readable else pause
                self._next_tick_at = time.time() + until_next
                await _wait(self._read_now, until_next)
        finally:
            await reader.close()

    async def _listen(self, pulse: Pulse) -> None:
        """Turn activity on the queues that are asleep into reads of just those.

        A queue is read once more after it was first listened to: an item may have come between the read that
        sent it to sleep and the bookmark in its stream.
        """
        listener, reader = ActivityListener(self._endpoint), QueueReader(self._endpoint)
        try:
            while True:
                pulse.beat()
                self._asleep_changed.clear()
                try:
                    before = listener.followed
                    await listener.follow(tuple(self._asleep))
                    fresh = listener.followed - before
                    if fresh or (active := await self._activity(listener)):
                        await asyncio.sleep(_HINT_PAUSE)
                        await self._read(reader, tuple(fresh or active))
                except RedisUnavailable:
                    # The tick says so to everyone concerned.
                    await asyncio.sleep(self._intervals.tick)
        finally:
            await listener.close()
            await reader.close()

    async def _activity(self, listener: ActivityListener) -> frozenset[QueueKey]:
        """Queues that something happened in; none when the set of sleepers changes or after a while."""
        waiting = asyncio.create_task(listener.wait_for_activity(LONGEST_BLOCK_S))
        changed = asyncio.create_task(self._asleep_changed.wait())
        try:
            await asyncio.wait({waiting, changed}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else frozenset()
        finally:
            waiting.cancel()
            changed.cancel()
            await asyncio.gather(waiting, changed, return_exceptions=True)

    async def _read(self, reader: QueueReader, queues: Sequence[QueueKey]) -> bool:
        """Read these queues and tell their owners what is new; False when the server cannot be read."""
        if not queues:
            return True
        now, asked_at = time.time(), time.monotonic()
        try:
            with self._metrics.redis_read_seconds.labels(self._endpoint.address).time():
                answers = await reader.snapshots(queues, now)
        except RedisUnavailable as unavailable:
            self._metrics.redis_read_errors.labels(self._endpoint.address).inc()
            for queue in queues:
                self._note(queue, asked_at, problem=str(unavailable))
            return False
        for queue, answer in answers.items():
            if isinstance(answer, QueueUnreadable):
                self._note(queue, asked_at, problem=answer.reason)
            else:
                self._note(queue, asked_at, snapshot=answer)
        return True

    def _note(
        self,
        queue: QueueKey,
        asked_at: float,
        snapshot: QueueSnapshot | None = None,
        problem: str | None = None,
    ) -> None:
        before = self._readings.get(queue)
        if before is None or asked_at < self._asked_at.get(queue, asked_at):
            # Let go meanwhile, or overtaken: the tick and the hints read side by side.
            return
        self._asked_at[queue] = asked_at
        if snapshot is None:
            after = Reading(before.snapshot, problem)
            if before.problem is None:
                log.warning("queue_unreadable", queue=queue.name, prefix=queue.prefix, reason=problem)
        else:
            after = Reading(snapshot)
            if before.problem is not None:
                log.info("queue_readable_again", queue=queue.name, prefix=queue.prefix)
        self._readings[queue] = after
        if queue in self._asleep and self._due_at(queue) < self._next_tick_at:
            # A hint told of it; the tick must plan anew.
            self._read_now.set()
        if _news(before) != _news(after):
            self._changed(queue)

    def _until_next_due(self) -> float:
        """Seconds until a delayed item of a sleeping queue falls due: nobody else would notice that
        moment.
        """
        # A moment that passed since the look counts too: timers fire up to a millisecond early.
        return max(0.0, min(map(self._due_at, self._asleep), default=inf) - time.time())

    def _due_at(self, queue: QueueKey) -> float:
        """When the next item falls due that was not at the last look, unix seconds; infinity when none will,
        or nobody knows.
        """
        reading = self._readings.get(queue)
        if reading is None or reading.snapshot is None or reading.problem is not None:
            return inf
        at = reading.snapshot.next_delayed_at
        return at if at is not None and at > reading.snapshot.taken_at else inf


def _news(reading: Reading) -> Reading:
    """A reading without what differs each time and means nothing."""
    snapshot = reading.snapshot
    if snapshot is None:
        return reading
    return replace(
        reading,
        snapshot=replace(snapshot, taken_at=0.0, rate_limited_for=float(snapshot.rate_limited_for > 0)),
    )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
