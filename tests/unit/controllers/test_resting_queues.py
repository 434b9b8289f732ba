"""Queues that rest are read less often, and nothing is missed for it. On virtual time; needs nothing."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from bullherd.core.snapshot import QueueKey
from tests.unit.builders import NOW
from tests.unit.controllers.watched_redis import EMAILS, SMS, Watched
from tests.unit.virtual_time import in_virtual_time, now

SETTLED = 25.0
"""Seconds after which a watch has listened long enough to know that it can."""


async def settled(watched: Watched, queue: QueueKey = EMAILS) -> None:
    """Let the queue fall asleep, and look on from there."""
    await asyncio.sleep(1)
    watched.watch.set_asleep(queue, asleep=True)
    await asyncio.sleep(SETTLED - now())
    watched.redis.reads.clear()


def every(watched: Watched, queue: QueueKey = EMAILS) -> list[float]:
    """Seconds between the reads of a queue."""
    moments = watched.reads_of(queue)
    return [round(later - earlier, 3) for earlier, later in pairwise(moments)]


@in_virtual_time
async def test_one_that_rests_is_read_every_ten_seconds_and_the_other_every_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    for number in range(10):
        watched.watch.add(QueueKey("bull", f"queue-{number}"))
        watched.watch.set_asleep(QueueKey("bull", f"queue-{number}"), asleep=True)
    watched.watch.add(SMS)
    async with watched.running():
        await asyncio.sleep(SETTLED)
        watched.redis.reads.clear()
        await asyncio.sleep(30)
    assert {len(queues) for _, queues in watched.redis.reads} == {2}
    assert set(every(watched, SMS)) == {1.0}
    assert set(every(watched, QueueKey("bull", "queue-7"))) == {10.0}


@in_virtual_time
async def test_a_hint_ends_the_rest_and_emptiness_begins_it(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, tick=10)
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        await asyncio.sleep(0.5)
        watched.redis.add(EMAILS, waiting=1)
        await asyncio.sleep(0.031)
        assert watched.backlog() == 1


@in_virtual_time
async def test_a_hint_that_is_lost_costs_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    queues = [QueueKey("bull", f"queue-{number}") for number in range(95)]
    for queue in queues:
        watched.watch.add(queue)
        watched.watch.set_asleep(queue, asleep=True)
    async with watched.running():
        await asyncio.sleep(SETTLED)
        watched.redis.counts = {queue: {"waiting": 1} for queue in queues}
        await asyncio.sleep(10.001)
        assert {watched.backlog(queue) for queue in queues} == {1}


@in_virtual_time
async def test_what_waits_in_a_sleeping_queue_is_looked_at_every_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be paused, or rate limited: somebody wants to see how long it gets."""
    watched = Watched(monkeypatch)
    watched.redis.counts[EMAILS] = {"waiting": 5, "paused": True}
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        await asyncio.sleep(5)
    assert set(every(watched)) == {1.0}


@in_virtual_time
async def test_a_stream_that_cannot_be_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.deaf_to = {EMAILS}
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        await asyncio.sleep(5)
        assert set(every(watched)) == {1.0}
        watched.redis.deaf_to.clear()
        await asyncio.sleep(15)
        watched.redis.reads.clear()
        watched.watch.add(SMS)
        await asyncio.sleep(9)
        assert len(watched.reads_of()) == 1, "it is tried again now and then"


@in_virtual_time
async def test_a_redis_that_was_away_is_not_trusted_before_it_was_listened_to_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        watched.redis.away = True
        await asyncio.sleep(30)
        watched.redis.away = False
        await asyncio.sleep(5)
        watched.redis.reads.clear()
        await asyncio.sleep(3)
        assert set(every(watched)) == {1.0}
        await asyncio.sleep(10)
        watched.redis.reads.clear()
        await asyncio.sleep(9)
        assert len(watched.reads_of()) == 1


@in_virtual_time
async def test_a_delayed_item_falls_due_during_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts[EMAILS] = {"delayed": 1, "next_delayed_at": NOW + SETTLED + 3.25}
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        await asyncio.sleep(3.3)
    assert watched.reads_of()[-1] == pytest.approx(SETTLED + 3.25)


@in_virtual_time
async def test_items_that_fall_due_one_after_another_are_few_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    queues = [QueueKey("bull", f"queue-{number}") for number in range(500)]
    for number, queue in enumerate(queues):
        watched.redis.counts[queue] = {"delayed": 1, "next_delayed_at": NOW + SETTLED + number / 1000}
        watched.watch.add(queue)
        watched.watch.set_asleep(queue, asleep=True)
    async with watched.running():
        await asyncio.sleep(SETTLED - 0.01)
        watched.redis.reads.clear()
        watched.redis.counts = {queue: {"delayed": 1, "delayed_due": 1} for queue in queues}
        await asyncio.sleep(0.55)
        assert {watched.backlog(queue) for queue in queues} == {1}
        assert len(watched.redis.reads) <= 20


@in_virtual_time
async def test_a_clock_that_is_set_back_does_not_prolong_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        watched.set_clock_back(3600)
        watched.redis.counts[EMAILS] = {"waiting": 5}
        await asyncio.sleep(10.001)
        assert watched.backlog() == 5


@in_virtual_time
async def test_the_set_that_is_listened_to_changes_four_times_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    async with watched.running():
        for number in range(1000):
            watched.watch.add(QueueKey("bull", f"queue-{number}"))
            watched.watch.set_asleep(QueueKey("bull", f"queue-{number}"), asleep=True)
            await asyncio.sleep(0.002)
        assert len(watched.redis.follows) <= 9


@in_virtual_time
async def test_what_was_heard_of_is_looked_at_before_listening_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis goes through all streams to listen; the look must not wait for that."""
    watched = Watched(monkeypatch, tick=60)
    watched.watch.add(EMAILS)
    async with watched.running():
        await settled(watched)
        watched.redis.slow_by = [0.4]
        watched.redis.add(EMAILS, waiting=1)
        await asyncio.sleep(0.5)
    assert watched.reads_of() == [pytest.approx(SETTLED + 0.03)]
    assert watched.redis.waits[-1] == pytest.approx(SETTLED + 0.43)
