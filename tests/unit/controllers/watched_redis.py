"""A Redis of the tests' own making for `ServerWatch`, and a watch of it on virtual time.

What the real readers and listeners do is told by tests/redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.controllers.server_watch import ServerWatch, WatchIntervals
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import NOW
from tests.unit.virtual_time import now

EMAILS, SMS, PUSH = QueueKey("bull", "emails"), QueueKey("bull", "sms"), QueueKey("bull", "push")


@dataclass
class Redis:
    """What a Redis shows, how long it takes, and what was asked of it. Events of the queues that we are
    ``deaf_to`` cannot be listened to.
    """

    counts: dict[QueueKey, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    slow_by: list[float] = field(default_factory=list)
    reads: list[tuple[float, tuple[QueueKey, ...]]] = field(default_factory=list)
    active: set[QueueKey] = field(default_factory=set)
    deaf_to: set[QueueKey] = field(default_factory=set)
    follows: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: dict[QueueKey, tuple[str, ...] | QueueUnreadable] = field(default_factory=dict)
    checks: list[tuple[float, tuple[QueueKey, ...]]] = field(default_factory=list)
    slow_check: float = 0.0
    dies: bool = False

    def add(self, queue: QueueKey, **counts: Any) -> None:
        """Something comes into a queue."""
        self.counts[queue] = counts
        self.hint(queue)

    def hint(self, queue: QueueKey) -> None:
        """Something happens in a queue that its counts do not show."""
        self.active.add(queue)
        self.happened.set()

    def unavailable(self) -> None:
        if self.dies:
            raise ValueError("a bug of ours")
        if self.away:
            raise RedisUnavailable("redis:6379/0", "it is away")


@dataclass
class Client:
    redis: Redis


class Reader(Client):
    async def snapshots(
        self, queues: Sequence[QueueKey], at: float
    ) -> Mapping[QueueKey, QueueSnapshot | QueueUnreadable]:
        self.redis.reads.append((now(), tuple(queues)))
        counts = {queue: dict(self.redis.counts.get(queue, {})) for queue in queues}
        if self.redis.slow_by:
            await asyncio.sleep(self.redis.slow_by.pop(0))
        self.redis.unavailable()
        return {
            queue: QueueUnreadable("Not BullMQ's.") if "broken" in shown else QueueSnapshot(at, **shown)
            for queue, shown in counts.items()
        }


class Listener(Client):
    followed: frozenset[QueueKey] = frozenset()

    async def follow(self, queues: Collection[QueueKey]) -> frozenset[QueueKey]:
        self.redis.unavailable()
        self.redis.follows.append(now())
        before, self.followed = self.followed, frozenset(queues) - self.redis.deaf_to
        return self.followed - before

    async def wait_for_activity(self, timeout: float) -> frozenset[QueueKey]:  # noqa: ASYNC109
        self.redis.unavailable()
        self.redis.waits.append(now())
        self.redis.happened.clear()
        while not (active := self.followed & self.redis.active):
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self.redis.happened.wait()
                    self.redis.happened.clear()
                    continue
            return frozenset()
        self.redis.active -= active
        return active

    async def close(self) -> None:
        pass


@dataclass
class Recovery(Client):
    interval: float

    async def check(self, queues: Sequence[QueueKey], at: float) -> Mapping[QueueKey, Any]:
        self.redis.checks.append((now(), tuple(queues)))
        await asyncio.sleep(self.redis.slow_check)
        self.redis.unavailable()
        return {queue: self.redis.stalled.get(queue, ()) for queue in queues}


class Watched:
    """A server watch of that Redis; ``changed`` has each time that an owner was woken."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, tick: float = 1.0, stalled_check: float | None = 30
    ) -> None:
        module = "bullherd.controllers.server_watch"
        self.redis = Redis()
        self.ahead = 0.0
        for clocked in (module, "bullherd.controllers.stalled_check"):
            clock = SimpleNamespace(time=lambda: NOW + now() + self.ahead, monotonic=now)
            monkeypatch.setattr(f"{clocked}.time", clock)
        monkeypatch.setattr(f"{module}.QueueReader", lambda *_: Reader(self.redis))
        monkeypatch.setattr("bullherd.controllers.hints.ActivityListener", lambda *_: Listener(self.redis))
        monkeypatch.setattr(
            f"{module}.StalledRecovery", lambda *_, interval, **__: Recovery(self.redis, interval)
        )
        self.changed: list[tuple[float, QueueKey]] = []
        self.health = Health()
        self.metrics = OperatorMetrics()
        self.watch = ServerWatch(
            RedisEndpoint("redis"),
            lambda queue: self.changed.append((now(), queue)),
            WatchIntervals(tick, stalled_check, max_stalled_count=1),
            self.health,
            self.metrics,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.watch.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def stalled(self) -> dict[tuple[str, str, str], float]:
        """Items taken back, by server, prefix and queue."""
        (family,) = self.metrics.stalled_items.collect()
        series = [sample for sample in family.samples if sample.name.endswith("_total")]
        return {(s.labels["server"], s.labels["prefix"], s.labels["queue"]): s.value for s in series}

    def set_clock_back(self, seconds: float) -> None:
        """Somebody sets the machine's time."""
        self.ahead -= seconds

    def reads_of(self, queue: QueueKey = EMAILS) -> list[float]:
        """The moments at which a queue was read."""
        return [moment for moment, queues in self.redis.reads if queue in queues]

    def backlog(self, queue: QueueKey = EMAILS) -> int | None:
        snapshot = self.watch.reading(queue).snapshot
        return None if snapshot is None else snapshot.backlog

    @property
    def expected(self) -> int:
        """How many loops are expected to turn."""
        return len(self.health._pulses)
