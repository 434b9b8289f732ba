"""The loops of one Redis server, on virtual time, with a Redis of the test's own making. Needs nothing.

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
from bullherd.controllers.server_watch import Reading, ServerWatch, WatchIntervals
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import NOW
from tests.unit.virtual_time import in_virtual_time, now

EMAILS, SMS = QueueKey("bull", "emails"), QueueKey("bull", "sms")


@dataclass
class Redis:
    """What a Redis shows, how long it takes, and what was asked of it."""

    counts: dict[QueueKey, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    slow_by: list[float] = field(default_factory=list)
    reads: list[tuple[float, tuple[QueueKey, ...]]] = field(default_factory=list)
    active: set[QueueKey] = field(default_factory=set)
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: dict[QueueKey, tuple[str, ...] | QueueUnreadable] = field(default_factory=dict)
    checks: list[float] = field(default_factory=list)
    slow_check: float = 0.0
    dies: bool = False

    def add(self, queue: QueueKey, **counts: Any) -> None:
        """Something comes into a queue."""
        self.counts[queue] = counts
        self.active.add(queue)
        self.happened.set()

    def unavailable(self) -> None:
        if self.dies:
            raise ValueError("a bug of ours")
        if self.away:
            raise RedisUnavailable("redis:6379/0", "it is away")


class Client:
    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def close(self) -> None:
        pass


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
    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.followed: frozenset[QueueKey] = frozenset()

    async def follow(self, queues: Collection[QueueKey]) -> None:
        self.redis.unavailable()
        self.followed = frozenset(queues)

    async def wait_for_activity(self, timeout: float) -> frozenset[QueueKey]:  # noqa: ASYNC109
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


class Recovery(Client):
    async def check(self, queues: Sequence[QueueKey], at: float) -> Mapping[QueueKey, Any]:
        self.redis.checks.append(now())
        await asyncio.sleep(self.redis.slow_check)
        self.redis.unavailable()
        return {queue: self.redis.stalled.get(queue, ()) for queue in queues}


class Watched:
    """A server watch of that Redis; ``changed`` has each time that an owner was woken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tick: float = 1.0) -> None:
        module = "bullherd.controllers.server_watch"
        self.redis = Redis()
        stalled_check = "bullherd.controllers.stalled_check"
        for clocked in (module, stalled_check):
            clock = SimpleNamespace(time=lambda: NOW + now(), monotonic=now)
            monkeypatch.setattr(f"{clocked}.time", clock)
        monkeypatch.setattr(f"{module}.QueueReader", lambda endpoint: Reader(self.redis))
        monkeypatch.setattr(f"{module}.ActivityListener", lambda endpoint: Listener(self.redis))
        monkeypatch.setattr(f"{stalled_check}.StalledRecovery", lambda endpoint, **_: Recovery(self.redis))
        self.changed: list[tuple[float, QueueKey]] = []
        self.health = Health()
        self.metrics = OperatorMetrics()
        self.watch = ServerWatch(
            RedisEndpoint("redis"),
            lambda queue: self.changed.append((now(), queue)),
            WatchIntervals(tick, stalled_check=30, max_stalled_count=1),
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

    def backlog(self, queue: QueueKey = EMAILS) -> int | None:
        snapshot = self.watch.reading(queue).snapshot
        return None if snapshot is None else snapshot.backlog

    @property
    def expected(self) -> int:
        """How many loops are expected to turn."""
        return len(self.health._pulses)


@in_virtual_time
async def test_a_queue_is_read_every_tick_and_an_idle_one_wakes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(10.5)
    assert [moment for moment, _ in watched.redis.reads] == pytest.approx(list(range(11)))
    assert watched.changed == [(0.0, EMAILS)]


@in_virtual_time
async def test_a_queue_that_is_added_is_read_at_once_together_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.3)
        watched.watch.add(SMS)
        await asyncio.sleep(0.1)
        assert watched.redis.reads[-1] == (0.3, (EMAILS, SMS))


@in_virtual_time
async def test_what_changed_is_told_with_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(2.5)
        watched.redis.add(EMAILS, waiting=5)
        await asyncio.sleep(1)
        assert watched.backlog() == 5
        assert watched.changed[-1] == (3.0, EMAILS)


@in_virtual_time
async def test_a_queue_that_is_asleep_is_read_as_soon_as_something_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    async with watched.running():
        await asyncio.sleep(1)
        watched.watch.set_asleep(EMAILS, asleep=True)
        await asyncio.sleep(1)
        watched.redis.add(EMAILS, waiting=5)
        watched.redis.add(SMS, waiting=5)
        await asyncio.sleep(0.04)
        assert watched.backlog(EMAILS) == 5
        assert watched.backlog(SMS) == 0, "nobody listens to a queue that has workers"


@in_virtual_time
async def test_a_queue_that_falls_asleep_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item may have come after the read that sent it to sleep and before its stream was listened to."""
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(1)
        watched.redis.counts[EMAILS] = {"waiting": 1}  # with no event that anybody would hear of
        watched.watch.set_asleep(EMAILS, asleep=True)
        await asyncio.sleep(0.04)
        assert watched.backlog() == 1


@in_virtual_time
async def test_a_storm_of_adds_is_not_a_storm_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(1)
        before = len(watched.redis.reads)
        for number in range(1000):
            watched.redis.add(EMAILS, waiting=number)
            await asyncio.sleep(0.001)
        assert len(watched.redis.reads) - before <= 35


@in_virtual_time
async def test_a_bulk_add_is_read_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """bullmq adds many items by a pipeline: a look in its midst would scale in two steps."""
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(1)
        before = len(watched.redis.reads)
        for number in range(1, 21):
            watched.redis.add(EMAILS, waiting=number * 10)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert len(watched.redis.reads) - before == 1
        assert watched.backlog() == 200


@in_virtual_time
async def test_the_tick_comes_early_when_a_delayed_item_of_a_sleeper_falls_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, tick=60)
    watched.redis.counts[EMAILS] = {"delayed": 1, "next_delayed_at": NOW + 7.25}
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(7.5)
        assert watched.redis.reads[-1][0] == pytest.approx(7.25)


@in_virtual_time
async def test_the_tick_comes_early_for_a_delayed_item_that_only_a_hint_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(1)
        watched.redis.add(EMAILS, delayed=1, next_delayed_at=NOW + 7.25)
        await asyncio.sleep(7)
        assert watched.redis.reads[-1][0] == pytest.approx(7.25)


@in_virtual_time
async def test_a_look_a_moment_too_early_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers fire up to a millisecond early, and then the item is due before the next wait is planned."""
    watched = Watched(monkeypatch, tick=60)
    watched.redis.counts[EMAILS] = {"delayed": 1, "next_delayed_at": NOW + 5}
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(4.999)
        watched.redis.slow_by = [0.002]
        watched.watch.add(EMAILS)  # a look just before, whose answer comes just after
        await asyncio.sleep(0.01)
        assert watched.redis.reads[-1][0] == pytest.approx(5.001, abs=0.0005)


@in_virtual_time
async def test_a_delayed_item_of_a_redis_that_is_away_makes_no_storm_of_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts[EMAILS] = {"delayed": 1, "next_delayed_at": NOW + 2.5}
    watched.watch.add(EMAILS)
    watched.watch.set_asleep(EMAILS, asleep=True)
    async with watched.running():
        await asyncio.sleep(1.5)
        watched.redis.away = True
        before = len(watched.redis.reads)
        await asyncio.sleep(60)
        assert len(watched.redis.reads) - before < 20


@in_virtual_time
async def test_redis_that_is_away_is_told_once_and_the_last_look_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts[EMAILS] = {"waiting": 5}
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.5)
        watched.changed.clear()
        watched.redis.away = True
        await asyncio.sleep(300)
        assert len(watched.changed) == 1
        reading = watched.watch.reading(EMAILS)
        assert watched.backlog() == 5
        assert reading.problem == "Redis at redis:6379/0 cannot be used: it is away."
        watched.redis.away = False
        await asyncio.sleep(6)
        assert watched.watch.reading(EMAILS).problem is None
        assert len(watched.changed) == 2


@in_virtual_time
async def test_redis_that_is_away_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    watched.redis.away = True
    async with watched.running():
        await asyncio.sleep(100)
    assert [moment for moment, _ in watched.redis.reads][:5] == pytest.approx([0, 2, 6, 11, 16])


@in_virtual_time
async def test_one_unreadable_queue_does_not_spoil_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts = {EMAILS: {"broken": True}, SMS: {"waiting": 2}}
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    async with watched.running():
        await asyncio.sleep(0.5)
        assert watched.watch.reading(EMAILS) == Reading(None, "Not BullMQ's.")
        assert watched.backlog(SMS) == 2


@in_virtual_time
async def test_an_answer_that_was_overtaken_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick asked first, before the item came; the hint asked later and was answered first."""
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.5)
        watched.watch.set_asleep(EMAILS, asleep=True)
        await asyncio.sleep(0.4)
        watched.redis.slow_by = [0.8]
        await asyncio.sleep(0.2)
        watched.redis.add(EMAILS, waiting=5)
        await asyncio.sleep(0.1)
        assert watched.backlog() == 5
        await asyncio.sleep(0.65)
        assert watched.backlog() == 5
        assert [queue for moment, queue in watched.changed if moment > 0.5] == [EMAILS]


@in_virtual_time
async def test_a_clock_that_is_set_back_blinds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.5)
        back = SimpleNamespace(time=lambda: NOW + now() - 3600, monotonic=now)
        monkeypatch.setattr("bullherd.controllers.server_watch.time", back)
        watched.redis.add(EMAILS, waiting=5)
        await asyncio.sleep(1)
        assert watched.backlog() == 5


@in_virtual_time
async def test_a_queue_that_is_let_go_during_a_read_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.slow_by = [0.5]
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.1)
        watched.watch.remove(EMAILS)
        await asyncio.sleep(1)
        assert watched.changed == []
        assert EMAILS not in watched.watch.queues


@in_virtual_time
async def test_the_time_that_a_rate_limit_still_lasts_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        for left in (0.0, 3.0, 2.0, 1.0, 0.0):
            watched.redis.counts[EMAILS] = {"waiting": 5, "rate_limited_for": left}
            await asyncio.sleep(1)
    assert len(watched.changed) == 3


@in_virtual_time
async def test_stalled_items_are_looked_for_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.stalled = {EMAILS: ("1", "2"), SMS: QueueUnreadable("Not BullMQ's.")}
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    async with watched.running():
        await asyncio.sleep(61)
    assert watched.redis.checks == pytest.approx([0, 30, 60])
    assert watched.stalled() == {("redis:6379/0", "bull", "emails"): 6}


@in_virtual_time
async def test_a_queue_that_is_let_go_leaves_no_count_of_its_stalled_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    watched.redis.stalled = {EMAILS: ("1",), SMS: ("2",)}
    async with watched.running():
        await asyncio.sleep(1)
        watched.redis.slow_check = 5.0
        await asyncio.sleep(31)
        watched.watch.remove(SMS)  # while it is checked
        await asyncio.sleep(10)
        assert watched.stalled() == {("redis:6379/0", "bull", "emails"): 2}


@in_virtual_time
async def test_the_stalled_check_outlives_a_redis_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    watched.redis.away = True
    async with watched.running() as watch:
        await asyncio.sleep(61)
        assert not watch.done()
    assert len(watched.redis.checks) == 3


@in_virtual_time
async def test_a_watch_that_is_stopped_is_expected_to_turn_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    async with watched.running():
        await asyncio.sleep(1)
        assert watched.expected == 3
    assert watched.expected == 0


@in_virtual_time
async def test_a_watch_that_died_is_still_expected_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that /healthz fails and the process is restarted, instead of a queue that nobody reads."""
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running() as watch:
        watched.redis.dies = True
        await asyncio.wait([watch])
        assert watched.expected == 3
