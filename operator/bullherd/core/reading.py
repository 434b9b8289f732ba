"""Which queues of a Redis server are read now.

A queue where something goes on is read with every tick. One that rests says by itself when that ends: it is
empty, it has no workers, and its events are listened to. It is read all the same, once in ``REST_INTERVAL``,
because a hint may get lost; a few such queues with each tick, so that no tick has much to do. No event tells
that a delayed item of a queue without workers falls due: then the queue is read at that very moment.

Moments are of one steady clock, which nobody sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from heapq import nsmallest
from math import inf

from bullherd.core.snapshot import QueueKey, QueueSnapshot

REST_INTERVAL = 10.0
"""Seconds between two reads of a queue that rests: what a lost hint may cost."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look at a queue says of the next one. ``due_at``: when its next delayed item falls due;
    infinity when none will, or nobody knows.
    """

    at: float
    empty: bool
    due_at: float = inf


def look_of(snapshot: QueueSnapshot | None, at: float) -> Look:
    """Of a queue that was asked for at that moment. Of one that could not be read nothing is known."""
    if snapshot is None:
        return Look(at, empty=False)
    # By the clock that the look was taken by. One that was due by then counts as backlog.
    ahead = inf if snapshot.next_delayed_at is None else snapshot.next_delayed_at - snapshot.taken_at
    return Look(at, empty=snapshot.backlog == 0, due_at=at + ahead if ahead > 0 else inf)


def queues_of_tick(
    looks: Mapping[QueueKey, Look | None],
    asleep: Set[QueueKey],
    heard: Set[QueueKey],
    now: float,
    tick: float,
) -> list[QueueKey]:
    """What a tick reads. ``looks`` has every queue, with None for those that were never looked at; ``asleep``
    those without workers, ``heard`` those whose events are listened to.
    """
    read: list[QueueKey] = []
    resting: list[tuple[float, QueueKey]] = []
    for queue, look in looks.items():
        if look is not None and look.empty and look.due_at > now and queue in asleep and queue in heard:
            resting.append((look.at, queue))
        else:
            read.append(queue)
    # A turn comes with the tick that is nearest to it. Many that would have it at once take it early.
    over = now - REST_INTERVAL + tick / 2
    turns = max(int(len(resting) * tick / REST_INTERVAL), sum(at <= over for at, _ in resting))
    read.extend(queue for _, queue in nsmallest(turns, resting))
    return read


def queues_due(looks: Mapping[QueueKey, Look | None], asleep: Set[QueueKey], now: float) -> list[QueueKey]:
    """What is read between two ticks: new queues, and sleeping ones of which an item has fallen due."""
    return [
        queue for queue, look in looks.items() if look is None or (look.due_at <= now and queue in asleep)
    ]


def next_due_at(looks: Mapping[QueueKey, Look | None], asleep: Iterable[QueueKey]) -> float:
    """When the next delayed item of a sleeping queue falls due; infinity when none will."""
    return min((look.due_at for queue in asleep if (look := looks.get(queue)) is not None), default=inf)


def may_hold_stalled_items(snapshot: QueueSnapshot | None) -> bool:
    """Whether BullMQ's stalled check could find anything: it takes back only what is active. Marks that it
    left behind on items that have ended since do no harm: the next check that finds work drops them.
    """
    return snapshot is None or snapshot.active > 0
