"""One Redis server and the queues on it that are managed: the reads, the hints and the stalled check.

One loop reads, all that is due in one go (``core.reading`` says what is): with each tick, and in between what
is new, what was hinted at, and what has an item that falls due. A read that fails leaves the last good
snapshot and says why; the owners are told once. All loops go on for as long as the server is watched: a Redis
that is away makes them wait longer, never end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from bullherd.bullmq.connection import RedisUnavailable, connect
from bullherd.bullmq.holders import HolderReader
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.snapshots import QueueReader
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.controllers.hints import Hints
from bullherd.controllers.stalled_check import recover_stalled
from bullherd.core.reading import (
    Look,
    look_of,
    may_hold_stalled_items,
    next_due_at,
    queues_due,
    queues_of_tick,
)
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from bullherd.telemetry.health import Health, Pulse
from bullherd.telemetry.watch_metrics import WatchMetrics

log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 5.0
"""Seconds between two tries to read a server that is away."""

_READ_PAUSE = 0.03
"""Seconds between two reads: a thousand queues that are added one after another, or whose items fall due one
after another, are not a thousand reads.
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
    before. ``holders``: whoever asks who holds a queue's items uses the connections of this watch.
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
        self._looks: dict[QueueKey, Look | None] = {}
        self._hinted: set[QueueKey] = set()
        self._read_now = asyncio.Event()
        self._no_hint_left = asyncio.Event()
        self._client = connect(endpoint)
        self._reader = QueueReader(endpoint, self._client)
        self._hints = Hints(endpoint, self._client, self._look, retry=intervals.tick)
        self.holders = HolderReader(endpoint, self._client)

    @property
    def queues(self) -> Collection[QueueKey]:
        """The queues that are read."""
        return self._readings.keys()

    def add(self, queue: QueueKey) -> None:
        """Begin to read a queue, at once."""
        if queue not in self._readings:
            self._readings[queue] = Reading()
            self._looks[queue] = None
            self._read_now.set()

    def remove(self, queue: QueueKey) -> None:
        """Read a queue no more."""
        self._readings.pop(queue, None)
        self._looks.pop(queue, None)
        self.set_asleep(queue, asleep=False)
        self._metrics.forget_queue(self._endpoint.address, queue)

    def reading(self, queue: QueueKey) -> Reading:
        """The newest look at a queue."""
        return self._readings[queue]

    def set_asleep(self, queue: QueueKey, asleep: bool) -> None:
        """Whether a queue has no workers, so that hints are worth listening for."""
        self._hints.set_asleep(queue, asleep)

    async def run(self) -> None:
        """Watch until cancelled."""
        limit = _PULSE_LIMIT + self._intervals.tick
        loops: dict[str, _Loop] = {"tick": self._read_on, "hints": self._hints.run}
        if (interval := self._intervals.stalled_check) is not None:
            most = self._intervals.max_stalled_count
            recovery = StalledRecovery(
                self._endpoint, self._client, max_stalled_count=most, interval=interval
            )
            loops["stalled check"] = partial(recover_stalled, recovery, self._to_check, self._recovered)
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

    async def _read_on(self, pulse: Pulse) -> None:
        tick = pause = self._intervals.tick
        next_tick_at = time.monotonic()
        while True:
            pulse.beat()
            self._read_now.clear()
            now = time.monotonic()
            if is_tick := now >= next_tick_at:
                queues = queues_of_tick(self._looks, self._hints.asleep, self._hints.heard, now, tick)
            else:
                queues = queues_due(self._looks, self._hints.asleep, now)
            hinted, self._hinted = self._hinted, set()
            queues += hinted.difference(queues) & self._readings.keys()
            readable = await self._read(queues, now)
            if not self._hinted:
                self._no_hint_left.set()
            if is_tick:
                pause = tick if readable else min(pause * 2, _LONGEST_PAUSE)
                next_tick_at = time.monotonic() + pause
            until = min(next_tick_at, next_due_at(self._looks, self._hints.asleep))
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    await self._read_now.wait()
            if queues:
                await asyncio.sleep(now + _READ_PAUSE - time.monotonic())

    async def _look(self, queues: Set[QueueKey]) -> None:
        self._hinted |= queues
        self._no_hint_left.clear()
        self._read_now.set()
        await self._no_hint_left.wait()

    def _to_check(self) -> list[QueueKey]:
        return [
            queue for queue, reading in self._readings.items() if may_hold_stalled_items(reading.snapshot)
        ]

    def _recovered(self, queue: QueueKey, items: tuple[str, ...]) -> None:
        if queue not in self._readings:
            # Let go meanwhile; it must not come back into the metrics.
            return
        count = self._metrics.stalled_items.labels(self._endpoint.address, queue.prefix, queue.name)
        count.inc(len(items))
        log.warning("items_recovered", queue=queue.name, prefix=queue.prefix, items=items)

    async def _read(self, queues: Sequence[QueueKey], asked_at: float) -> bool:
        """Read these queues and tell their owners what is new; False when the server cannot be read."""
        if not queues:
            return True
        try:
            with self._metrics.redis_read_seconds.labels(self._endpoint.address).time():
                answers = await self._reader.snapshots(queues, time.time())
        except RedisUnavailable as unavailable:
            self._metrics.redis_read_errors.labels(self._endpoint.address).inc()
            self._metrics.redis_up.labels(self._endpoint.address).set(0)
            for queue in queues:
                self._note(queue, asked_at, problem=str(unavailable))
            return False
        self._metrics.redis_up.labels(self._endpoint.address).set(1)
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
        if before is None:
            # Let go meanwhile.
            return
        if snapshot is None:
            after = Reading(before.snapshot, problem)
            if before.problem is None:
                log.warning("queue_unreadable", queue=queue.name, prefix=queue.prefix, reason=problem)
        else:
            after = Reading(snapshot)
            if before.problem is not None:
                log.info("queue_readable_again", queue=queue.name, prefix=queue.prefix)
        self._readings[queue] = after
        self._looks[queue] = look_of(snapshot, asked_at)
        if _is_news(before, after):
            self._changed(queue)


def _is_news(before: Reading, after: Reading) -> bool:
    """Whether a reading says more than that time has passed."""
    if before.snapshot is None or after.snapshot is None:
        return before != after
    return before.problem != after.problem or before.snapshot.news != after.snapshot.news
