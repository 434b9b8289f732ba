"""Which queues are read now, and which may wait. Needs nothing."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.core.reading import (
    REST_INTERVAL,
    Look,
    look_of,
    may_hold_stalled_items,
    next_due_at,
    queues_due,
    queues_of_tick,
)
from bullherd.core.snapshot import QueueKey
from tests.unit.builders import NOW, snapshot

EMAILS = QueueKey("bull", "emails")
AT = 1000.0


@pytest.mark.parametrize(
    ("counts", "look"),
    [
        ({}, Look(AT, empty=True)),
        ({"completed": 5, "failed": 3, "waiting_children": 2}, Look(AT, empty=True)),
        ({"waiting": 1}, Look(AT, empty=False)),
        ({"paused_list": 1, "paused": True}, Look(AT, empty=False)),
        ({"active": 1}, Look(AT, empty=False)),
        ({"delayed": 1, "delayed_due": 1}, Look(AT, empty=False)),
        ({"delayed": 1, "next_delayed_at": NOW + 3.5}, Look(AT, empty=True, due_at=AT + 3.5)),
        ({"delayed": 1, "next_delayed_at": NOW}, Look(AT, empty=True)),
    ],
)
def test_what_a_look_says_of_the_next_one(counts: dict[str, float], look: Look) -> None:
    assert look_of(snapshot(**counts), AT) == look


def test_of_a_queue_that_could_not_be_read_nothing_is_known() -> None:
    assert look_of(None, AT) == Look(AT, empty=False)


RESTED, FRESH = AT - REST_INTERVAL, AT - 1


@pytest.mark.parametrize(
    ("of", "look", "asleep", "heard", "with_tick", "between_ticks"),
    [
        ("a new queue", None, False, False, True, True),
        ("one with workers", Look(FRESH, empty=True), False, True, True, False),
        ("one that is not heard", Look(FRESH, empty=True), True, False, True, False),
        ("one with items", Look(FRESH, empty=False), True, True, True, False),
        ("one that rests", Look(FRESH, empty=True), True, True, False, False),
        ("one that has rested", Look(RESTED, empty=True), True, True, True, False),
        ("one with an item that is due", Look(FRESH, empty=True, due_at=AT), True, True, True, True),
        ("one with an item to come", Look(FRESH, empty=True, due_at=AT + 1), True, True, False, False),
        ("an item that its workers move", Look(FRESH, empty=True, due_at=AT), False, False, True, False),
    ],
)
def test_what_is_read(
    of: str, look: Look | None, asleep: bool, heard: bool, with_tick: bool, between_ticks: bool
) -> None:
    looks = {EMAILS: look}
    sleepers, listened = ({EMAILS} if asleep else set()), ({EMAILS} if heard else set())
    assert (queues_of_tick(looks, sleepers, listened, AT, 1.0) == [EMAILS]) == with_tick, of
    assert (queues_due(looks, sleepers, AT) == [EMAILS]) == between_ticks, of


def test_the_next_moment_is_that_of_the_earliest_item_of_a_sleeper() -> None:
    keys = [QueueKey("bull", str(number)) for number in range(4)]
    looks = {
        keys[0]: Look(AT, empty=True, due_at=AT + 3),
        keys[1]: Look(AT, empty=True, due_at=AT + 2),
        keys[2]: Look(AT, empty=True),
        keys[3]: None,
    }
    assert next_due_at(looks, set(keys)) == AT + 2
    assert next_due_at(looks, {keys[0], keys[3]}) == AT + 3
    assert next_due_at(looks, {keys[2]}) == inf
    assert next_due_at(looks, {QueueKey("bull", "of yesterday")}) == inf


@given(
    count=st.integers(1, 60),
    tick=st.floats(0.2, 30),
    begun=st.lists(st.floats(0, 30), min_size=60, max_size=60),
)
def test_every_resting_queue_has_its_turn_in_time(count: int, tick: float, begun: list[float]) -> None:
    queues = [QueueKey("bull", str(number)) for number in range(count)]
    looks: dict[QueueKey, Look | None] = {
        queue: Look(AT - at, empty=True) for queue, at in zip(queues, begun, strict=False)
    }
    asleep, now = set(queues), AT
    for _ in range(50):
        read = queues_of_tick(looks, asleep, asleep, now, tick)
        assert len(read) == len(set(read))
        looks |= {queue: Look(now, empty=True) for queue in read}
        assert all(now - look.at < max(REST_INTERVAL, tick) for look in looks.values() if look)
        now += tick


def test_a_thousand_that_were_read_together_spread_out() -> None:
    queues = [QueueKey("bull", str(number)) for number in range(1000)]
    looks: dict[QueueKey, Look | None] = dict.fromkeys(queues, Look(AT, empty=True))
    sizes = []
    for number in range(1, 31):
        read = queues_of_tick(looks, set(queues), set(queues), AT + number, 1.0)
        looks |= dict.fromkeys(read, Look(AT + number, empty=True))
        sizes.append(len(read))
    assert set(sizes) == {100}


@pytest.mark.parametrize(("counts", "may"), [({"active": 1}, True), ({"waiting": 5, "delayed": 2}, False)])
def test_what_the_stalled_check_can_find(counts: dict[str, int], may: bool) -> None:
    assert may_hold_stalled_items(snapshot(**counts)) == may
    assert may_hold_stalled_items(None)
