"""How many replicas a queue gets: each rule of the policy as a row. Needs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bullherd.api import QueueJobStatus
from bullherd.api import ScaleIn as ScaleInStatus
from bullherd.core.scaling import ScaleIn, ScalingPolicy, decide_replicas, demand_of
from bullherd.core.snapshot import QueueSnapshot
from bullherd.core.status import scale_in_of
from tests.unit.builders import NOW, policy, snapshot

FIVE_EACH = policy(items_per_replica=5, concurrency=5, max_replicas=50)


@dataclass(frozen=True)
class Wish:
    """``says`` is a part of the reason that people read."""

    name: str
    queue: QueueSnapshot
    replicas: int
    says: str = ""
    policy: ScalingPolicy = field(default_factory=policy)

    def __str__(self) -> str:
        return self.name


WISHES = [
    Wish("an empty queue asks for none", snapshot(), 0, "the queue is empty"),
    Wish("an empty queue gets its minimum", snapshot(), 2, "raised to minReplicas 2", policy(min_replicas=2)),
    Wish("one item asks for one", snapshot(waiting=1), 1, "backlog 1 at 1 per replica"),
    Wish("a part of a replica is a replica", snapshot(waiting=11), 3, policy=FIVE_EACH),
    Wish("a full replica is not two", snapshot(waiting=10), 2, policy=FIVE_EACH),
    Wish("200 items at five each ask for 40", snapshot(waiting=200), 40, policy=FIVE_EACH),
    Wish("a long queue gets its maximum", snapshot(waiting=900), 10, "capped by maxReplicas 10"),
    Wish("prioritized items count", snapshot(prioritized=3), 3),
    Wish("items in work count", snapshot(active=4), 4),
    Wish("delayed items that are due count", snapshot(delayed=9, delayed_due=2), 2),
    Wish("delayed items that are not due do not", snapshot(delayed=9), 0),
    Wish("items that wait for children do not", snapshot(waiting_children=9), 0),
    Wish("items that ended do not", snapshot(completed=9, failed=9), 0),
    Wish("a paused queue asks for none", snapshot(waiting=7, paused=True), 0, "paused (7 waiting)"),
    Wish(
        "items that version 5 set aside on pause ask for none",
        snapshot(paused_list=7, paused=True),
        0,
        "paused (7 waiting)",
    ),
    Wish(
        "items set aside in a queue that runs count, for they are next",
        snapshot(paused_list=3),
        3,
    ),
    Wish("a paused queue keeps what its items in work need", snapshot(waiting=7, active=2, paused=True), 2),
    Wish("a paused queue keeps its minimum", snapshot(paused=True), 1, policy=policy(min_replicas=1)),
    Wish(
        "a queue that used up its rate limit asks for none until it may go on",
        snapshot(waiting=7, rate_limit_max=3, rate_limited_for=2.0),
        0,
        "rate limit is used up for 2.0 s (7 waiting)",
    ),
    Wish(
        "global concurrency caps",
        snapshot(waiting=40, global_concurrency=8),
        2,
        "capped by the queue's global concurrency of 8",
        FIVE_EACH,
    ),
    Wish(
        "global concurrency above the need changes nothing",
        snapshot(waiting=7, global_concurrency=100),
        2,
        "backlog 7 at 5 per replica",
        FIVE_EACH,
    ),
    Wish(
        "a rate limit caps a queue at rest: more could not begin at once",
        snapshot(waiting=40, rate_limit_max=10),
        2,
        "capped by the queue's rate limit of 10",
        FIVE_EACH,
    ),
    Wish(
        "a rate limit leaves room beside long items that still run",
        snapshot(waiting=40, active=20, rate_limit_max=10),
        6,
        "capped by the queue's rate limit of 10",
        FIVE_EACH,
    ),
    Wish(
        "the lowest cap wins and every cap is told",
        snapshot(waiting=900, global_concurrency=100, rate_limit_max=60),
        3,
        "global concurrency of 100, capped by the queue's rate limit of 60, capped by maxReplicas 3",
        policy(max_replicas=3),
    ),
    Wish(
        "a limit of zero is none",
        snapshot(waiting=3, global_concurrency=0, rate_limit_max=0),
        3,
    ),
    Wish(
        "the minimum is kept under a cap",
        snapshot(waiting=9, global_concurrency=1),
        2,
        "raised to minReplicas 2",
        policy(min_replicas=2),
    ),
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_demand(wish: Wish) -> None:
    demand = demand_of(wish.policy, wish.queue)
    assert demand.replicas == wish.replicas
    assert wish.says in demand.reason


@dataclass(frozen=True)
class Step:
    """``current`` replicas and a wait that began ``waited`` seconds ago, if one did."""

    name: str
    queue: QueueSnapshot
    current: int
    replicas: int
    waited: float | None = None
    peak: int = 0
    leaves: ScaleIn | None = None
    requeue_after: float | None = None
    says: str = ""
    policy: ScalingPolicy = field(default_factory=policy)

    def __str__(self) -> str:
        return self.name


STEPS = [
    Step("growth is one step", snapshot(waiting=200), 0, 40, policy=FIVE_EACH),
    Step("growth ends a wait to shrink", snapshot(waiting=6), 5, 6, waited=30, peak=1),
    Step("demand that equals the replicas ends a wait", snapshot(waiting=5), 5, 5, waited=30, peak=1),
    Step(
        "falling demand begins a wait and changes nothing yet",
        snapshot(waiting=2),
        5,
        5,
        leaves=ScaleIn(NOW, 2),
        requeue_after=60,
        says="5 kept for another 60 s of cooldown",
    ),
    Step(
        "nothing shrinks a second before the cooldown is over",
        snapshot(waiting=2),
        5,
        5,
        waited=59,
        peak=2,
        leaves=ScaleIn(NOW - 59, 2),
        requeue_after=1,
    ),
    Step("it shrinks when the cooldown is over", snapshot(waiting=2), 5, 2, waited=60, peak=2),
    Step("no cooldown shrinks at once", snapshot(waiting=2), 5, 2, policy=policy(cooldown=0)),
    Step(
        "a higher need during the wait is remembered",
        snapshot(waiting=4),
        5,
        5,
        waited=30,
        peak=2,
        leaves=ScaleIn(NOW - 30, 4),
        requeue_after=30,
    ),
    Step(
        "it shrinks to the highest need of the cooldown, then waits anew",
        snapshot(waiting=2),
        5,
        4,
        waited=60,
        peak=4,
        leaves=ScaleIn(NOW, 2),
        requeue_after=60,
        says="4 was the highest need of the cooldown",
    ),
    Step(
        "a queue that falls idle begins the wait anew",
        snapshot(),
        5,
        5,
        waited=59,
        peak=3,
        leaves=ScaleIn(NOW, 0),
        requeue_after=60,
    ),
    Step("a queue idle for the whole cooldown goes to none", snapshot(), 5, 0, waited=60),
    Step(
        "a queue idle for the whole cooldown goes to its minimum",
        snapshot(),
        5,
        2,
        waited=60,
        peak=2,
        policy=policy(min_replicas=2),
    ),
    Step(
        "a queue that falls to its minimum begins the wait anew",
        snapshot(waiting=1),
        5,
        5,
        waited=59,
        peak=3,
        leaves=ScaleIn(NOW, 2),
        requeue_after=60,
        policy=policy(min_replicas=2),
    ),
    Step(
        "busy replicas are kept after the cooldown",
        snapshot(active=9),
        6,
        5,
        waited=60,
        peak=1,
        leaves=ScaleIn(NOW - 60, 1),
        says="5 kept for 9 active items",
        policy=policy(items_per_replica=10, concurrency=2),
    ),
    Step(
        "what was busy may go as soon as it is done, for the cooldown is over",
        snapshot(active=1),
        5,
        1,
        waited=70,
        peak=1,
        policy=policy(items_per_replica=10, concurrency=2),
    ),
    Step(
        "busy replicas never make it grow",
        snapshot(active=50),
        4,
        4,
        waited=60,
        peak=1,
        leaves=ScaleIn(NOW - 60, 1),
        policy=policy(items_per_replica=100),
    ),
    Step(
        "busy replicas stay above a lowered maximum",
        snapshot(active=7),
        8,
        7,
        waited=60,
        peak=3,
        leaves=ScaleIn(NOW - 60, 3),
        policy=policy(max_replicas=3),
    ),
    Step(
        "a maximum lowered during the wait holds at its end",
        snapshot(waiting=1),
        9,
        3,
        waited=60,
        peak=8,
        leaves=ScaleIn(NOW, 1),
        requeue_after=60,
        policy=policy(max_replicas=3),
    ),
    Step(
        "replicas lowered by others during the wait are not raised without need",
        snapshot(waiting=1),
        4,
        4,
        waited=60,
        peak=8,
        leaves=ScaleIn(NOW, 1),
        requeue_after=60,
    ),
    Step("replicas raised by others go after the cooldown", snapshot(), 50, 0, waited=60),
    Step("a raised minimum counts at once", snapshot(), 1, 4, waited=10, policy=policy(min_replicas=4)),
    Step(
        "a paused queue waits like any other",
        snapshot(waiting=9, paused=True),
        5,
        5,
        waited=10,
        leaves=ScaleIn(NOW - 10, 0),
        requeue_after=50,
    ),
    Step("a paused queue goes to none", snapshot(waiting=9, paused=True), 5, 0, waited=60),
    Step(
        "a paused queue keeps the pods that still work",
        snapshot(waiting=9, active=2, paused=True),
        5,
        2,
        waited=60,
        peak=2,
    ),
    Step(
        "a wait that another operator began in the future lasts no longer than the cooldown",
        snapshot(),
        5,
        5,
        waited=-3600,
        leaves=ScaleIn(NOW, 0),
        requeue_after=60,
    ),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_decision(step: Step) -> None:
    wait = None if step.waited is None else ScaleIn(NOW - step.waited, step.peak)
    decision = decide_replicas(step.policy, step.queue, step.current, wait, NOW)
    assert decision.replicas == step.replicas
    assert decision.scale_in == step.leaves
    assert decision.requeue_after == step.requeue_after
    assert step.says in decision.reason


def test_a_restart_in_the_middle_of_a_wait_does_not_begin_it_again() -> None:
    first = decide_replicas(policy(), snapshot(), 5, None, NOW)
    assert first.scale_in is not None
    written = QueueJobStatus(
        scale_in=ScaleInStatus(since=datetime.fromtimestamp(NOW, UTC), peak=first.scale_in.peak)
    )
    read_back = QueueJobStatus.model_validate_json(written.model_dump_json(by_alias=True))
    restarted = decide_replicas(policy(), snapshot(), 5, scale_in_of(read_back), NOW + 60)
    assert restarted.replicas == 0
