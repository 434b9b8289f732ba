"""One Redis server that is away, queues that cannot be read, items that stalled. Needs nothing."""

from __future__ import annotations

import asyncio

import pytest

from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.controllers.server_watch import Reading
from tests.unit.builders import NOW
from tests.unit.controllers.watched_redis import EMAILS, PUSH, SMS, Watched
from tests.unit.virtual_time import in_virtual_time


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
async def test_the_metrics_tell_whether_redis_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    up = []
    async with watched.running():
        for away in (False, True, False):
            watched.redis.away = away
            await asyncio.sleep(20)
            up.append(
                watched.metrics.registry.get_sample_value("bullherd_redis_up", {"server": "redis:6379/0"})
            )
    assert up == [1, 0, 1]


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
async def test_stalled_items_are_looked_for_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts = {EMAILS: {"active": 2}, SMS: {"active": 1}}
    watched.redis.stalled = {EMAILS: ("1", "2"), SMS: QueueUnreadable("Not BullMQ's.")}
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    async with watched.running():
        await asyncio.sleep(61)
    assert watched.redis.checks == [(moment, (EMAILS, SMS)) for moment in (0, 30, 60)]
    assert watched.stalled() == {("redis:6379/0", "bull", "emails"): 6}


@in_virtual_time
async def test_only_what_is_active_can_have_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.redis.counts = {EMAILS: {"active": 1}, SMS: {"waiting": 5}, PUSH: {"broken": True}}
    for queue in (EMAILS, SMS, PUSH):
        watched.watch.add(queue)
    async with watched.running():
        await asyncio.sleep(31)
        watched.redis.counts[EMAILS], watched.redis.counts[SMS] = {}, {"active": 1}
        await asyncio.sleep(30)
    # Of the one that cannot be read nothing is ever known.
    checked = [queues for _, queues in watched.redis.checks]
    assert checked == [(EMAILS, PUSH), (EMAILS, PUSH), (SMS, PUSH)]


@in_virtual_time
async def test_a_queue_that_is_let_go_leaves_no_count_of_its_stalled_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    watched.watch.add(EMAILS)
    watched.watch.add(SMS)
    watched.redis.counts = {EMAILS: {"active": 1}, SMS: {"active": 1}}
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
async def test_a_watch_that_changes_nothing_makes_no_stalled_check(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, stalled_check=None)
    watched.redis.counts[EMAILS] = {"active": 1}
    watched.watch.add(EMAILS)
    async with watched.running():
        await asyncio.sleep(100)
        assert watched.expected == 2
        assert watched.backlog() == 1
        assert watched.redis.checks == []


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
