"""The loops of one Redis server, on virtual time, while all goes well. Needs nothing."""

from __future__ import annotations

import asyncio

import pytest

from bullherd.core.snapshot import QueueKey
from tests.unit.builders import NOW
from tests.unit.controllers.watched_redis import EMAILS, SMS, Watched
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_queue_is_read_every_tick_and_an_idle_one_wakes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(10.5)
    assert [moment for moment, _ in watched.redis.reads] == pytest.approx(list(range(11)))
    assert watched.changed == [(0.0, EMAILS)]


@in_virtual_time
async def test_a_queue_that_is_added_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.3)
        watched.watch.add(SMS)
        await asyncio.sleep(0.1)
        assert watched.redis.reads[-1] == (0.3, (SMS,))
        await asyncio.sleep(0.7)
        assert watched.redis.reads[-1] == (1.0, (EMAILS, SMS))


@in_virtual_time
async def test_many_queues_that_are_added_one_after_another_are_few_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, tick=60)
    queues = [QueueKey("bull", f"queue-{number}") for number in range(1000)]
    async with watched.running():
        for queue in queues:
            watched.watch.add(queue)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        assert sorted(queue for _, read in watched.redis.reads for queue in read) == sorted(queues)
        assert len(watched.redis.reads) <= 35


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
        await asyncio.sleep(4.969)
        watched.redis.slow_by = [0.002]
        watched.redis.hint(EMAILS)  # a look just before, whose answer comes just after
        await asyncio.sleep(0.1)
        assert watched.reads_of()[-2:] == pytest.approx([4.999, 5.029])


@in_virtual_time
async def test_a_hint_during_a_read_is_one_more_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick asked before the item came, so its answer does not tell of it."""
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.5)
        watched.watch.set_asleep(EMAILS, asleep=True)
        await asyncio.sleep(0.4)
        watched.redis.slow_by = [0.8]
        await asyncio.sleep(0.2)
        watched.redis.add(EMAILS, waiting=5)
        await asyncio.sleep(0.65)
        assert watched.backlog() == 0
        await asyncio.sleep(0.1)
        assert watched.backlog() == 5


@in_virtual_time
async def test_a_clock_that_is_set_back_blinds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(0.5)
        watched.set_clock_back(3600)
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
