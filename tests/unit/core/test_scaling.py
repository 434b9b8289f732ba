"""How many replicas a queue gets: each rule of the policy as a row. Needs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil

import pytest

from bullherd.api import QueueJobStatus, ScalingStatus
from bullherd.api import ScaleIn as ScaleInStatus
from bullherd.core.demand import demand_of
from bullherd.core.floors import FloorNow
from bullherd.core.policy import ScalingPolicy
from bullherd.core.scaling import Ceiling, Circumstances, ScaleIn, decide_replicas
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
    """``current`` replicas and a wait that began ``waited`` seconds ago, if one did. ``busy``: how many pods
    hold items; None for as many as must.
    """

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
    busy: int | None = None

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
    Step(
        "it shrinks when the cooldown is over",
        snapshot(waiting=2),
        5,
        2,
        waited=60,
        peak=2,
        leaves=ScaleIn(NOW - 60, 2),
    ),
    Step(
        "no cooldown shrinks at once",
        snapshot(waiting=2),
        5,
        2,
        policy=policy(cooldown=0),
        leaves=ScaleIn(NOW, 2),
    ),
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
        "it shrinks to the highest need of the cooldown",
        snapshot(waiting=2),
        5,
        4,
        waited=60,
        peak=4,
        leaves=ScaleIn(NOW - 60, 4),
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
    Step(
        "a queue idle for the whole cooldown goes to none",
        snapshot(),
        5,
        0,
        waited=60,
        leaves=ScaleIn(NOW - 60, 0),
    ),
    Step(
        "a queue idle for the whole cooldown goes to its minimum",
        snapshot(),
        5,
        2,
        waited=60,
        peak=2,
        policy=policy(min_replicas=2),
        leaves=ScaleIn(NOW - 60, 2),
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
        requeue_after=1.0,
        says="5 kept, for they are busy",
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
        leaves=ScaleIn(NOW - 70, 1),
    ),
    Step(
        "busy replicas never make it grow",
        snapshot(active=50),
        4,
        4,
        waited=60,
        peak=1,
        leaves=ScaleIn(NOW - 60, 1),
        requeue_after=1.0,
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
        requeue_after=1.0,
        policy=policy(max_replicas=3),
    ),
    Step(
        "a maximum lowered during the wait holds at its end",
        snapshot(waiting=1),
        9,
        3,
        waited=60,
        peak=8,
        leaves=ScaleIn(NOW - 60, 8),
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
    Step(
        "what was the highest need is there: a new wait begins",
        snapshot(waiting=2),
        4,
        4,
        waited=60,
        peak=4,
        leaves=ScaleIn(NOW, 2),
        requeue_after=60,
        says="4 was the highest need of the cooldown",
    ),
    Step(
        "an HPA has not acted yet: the wait stays over",
        snapshot(waiting=2),
        5,
        2,
        waited=75,
        peak=2,
        leaves=ScaleIn(NOW - 75, 2),
    ),
    Step(
        "replicas raised by others go after the cooldown",
        snapshot(),
        50,
        0,
        waited=60,
        leaves=ScaleIn(NOW - 60, 0),
    ),
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
    Step(
        "a paused queue goes to none",
        snapshot(waiting=9, paused=True),
        5,
        0,
        waited=60,
        leaves=ScaleIn(NOW - 60, 0),
    ),
    Step(
        "a paused queue keeps the pods that still work",
        snapshot(waiting=9, active=2, paused=True),
        5,
        2,
        waited=60,
        peak=2,
        leaves=ScaleIn(NOW - 60, 2),
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
    least_busy = ceil(step.queue.active / step.policy.concurrency)
    around = Circumstances(scale_in=wait, busy=least_busy if step.busy is None else step.busy)
    decision = decide_replicas(step.policy, step.queue, step.current, around, NOW)
    assert not decision.busy_unknown
    assert decision.replicas == step.replicas
    assert decision.scale_in == step.leaves
    assert decision.requeue_after == step.requeue_after
    assert step.says in decision.reason


def test_a_restart_in_the_middle_of_a_wait_does_not_begin_it_again() -> None:
    first = decide_replicas(policy(), snapshot(), 5, Circumstances(), NOW)
    assert first.scale_in is not None
    wait = ScaleInStatus(since=datetime.fromtimestamp(NOW, UTC), peak=first.scale_in.peak)
    written = QueueJobStatus(scaling=ScalingStatus(scale_in=wait))
    read_back = QueueJobStatus.model_validate_json(written.model_dump_json(by_alias=True))
    restarted = decide_replicas(
        policy(), snapshot(), 5, Circumstances(scale_in_of(read_back), busy=0), NOW + 60
    )
    assert restarted.replicas == 0


@dataclass(frozen=True)
class Rule:
    """What else bears on the number of replicas, beside the wait to shrink."""

    name: str
    queue: QueueSnapshot
    current: int
    replicas: int
    around: Circumstances = field(default_factory=Circumstances)
    requeue_after: float | None = None
    limit: str | None = None
    says: str = ""
    policy: ScalingPolicy = field(default_factory=policy)

    def __str__(self) -> str:
        return self.name


DONE = ScaleIn(NOW - 60, 0)
"""A wait that is over."""

BUDGET = Ceiling(4, "BudgetExhausted", "the budget gives 4")

RULES = [
    Rule("a small backlog starts nothing", snapshot(waiting=3), 0, 0, says="activationBacklog 3",
         policy=policy(activation_backlog=3)),
    Rule("one more starts all that are needed", snapshot(waiting=4), 0, 4,
         policy=policy(activation_backlog=3)),
    Rule("a small backlog is worked by those that run", snapshot(waiting=3), 1, 3,
         policy=policy(activation_backlog=3)),
    Rule("a minimum is there whatever the backlog", snapshot(waiting=1), 0, 2,
         policy=policy(activation_backlog=3, min_replicas=2)),
    Rule("so is a floor", snapshot(waiting=1), 0, 2, Circumstances(floor=FloorNow(2, None, "floor")),
         policy=policy(activation_backlog=3)),
    Rule("some go after their delay, the last after the cooldown", snapshot(), 5, 1,
         Circumstances(ScaleIn(NOW - 10, 0), busy=0), requeue_after=50.0, says="1 kept for another 50 s",
         policy=policy(scale_down_delay=10.0)),
    Rule("the last goes after the cooldown", snapshot(), 1, 0, Circumstances(DONE, busy=0),
         policy=policy(scale_down_delay=10.0)),
    Rule("a delay longer than the cooldown holds all", snapshot(), 5, 5, Circumstances(DONE),
         requeue_after=240.0, policy=policy(scale_down_delay=300.0)),
    Rule("a queue that needs one keeps it without a cooldown", snapshot(waiting=1), 5, 1,
         Circumstances(ScaleIn(NOW - 10, 1), busy=0), policy=policy(scale_down_delay=10.0)),
    Rule("growth goes at its rate", snapshot(waiting=9), 0, 3, requeue_after=1.0,
         says="at most maxScaleUpPerSecond 3 more", policy=policy(max_scale_up=3)),
    Rule("growth waits for its next second", snapshot(waiting=9), 3, 3, Circumstances(grown_at=NOW - 0.25),
         requeue_after=0.75, policy=policy(max_scale_up=3)),
    Rule("growth goes on in its next second", snapshot(waiting=9), 3, 6, Circumstances(grown_at=NOW - 1),
         requeue_after=1.0, policy=policy(max_scale_up=3)),
    Rule("its last step is as small as is needed", snapshot(waiting=9), 7, 9,
         Circumstances(grown_at=NOW - 1), policy=policy(max_scale_up=3)),
    Rule("a growth in the future of our clock holds a second at most", snapshot(waiting=9), 3, 3,
         Circumstances(grown_at=NOW + 3600), requeue_after=1.0, policy=policy(max_scale_up=3)),
    Rule("a floor meets a rush", snapshot(), 0, 5, Circumstances(floor=FloorNow(5, None, "floor at 8")),
         says="raised to 5 by the floor at 8"),
    Rule("a floor is not above the maximum", snapshot(), 0, 10,
         Circumstances(floor=FloorNow(50, None, "floor"))),
    Rule("more than the floor is needed: that many", snapshot(waiting=7), 0, 7,
         Circumstances(floor=FloorNow(5, None, "floor"))),
    Rule("nothing goes below a floor", snapshot(), 5, 5,
         Circumstances(DONE, floor=FloorNow(5, None, "floor"))),
    Rule("a budget holds growth", snapshot(waiting=9), 2, 4, Circumstances(ceilings=(BUDGET,)),
         limit="BudgetExhausted", says="the budget gives 4"),
    Rule("a budget that suffices limits nothing", snapshot(waiting=4), 2, 4,
         Circumstances(ceilings=(BUDGET,))),
    Rule("a budget that fell is obeyed without a cooldown", snapshot(waiting=9), 9, 4,
         Circumstances(ceilings=(BUDGET,), busy=0), limit="BudgetExhausted"),
    Rule("but not against busy pods", snapshot(waiting=2, active=7), 9, 6,
         Circumstances(ceilings=(BUDGET,), busy=6), requeue_after=1.0, limit="BudgetExhausted",
         says="6 kept, for they are busy"),
    Rule("the lowest ceiling counts", snapshot(waiting=9), 3, 3,
         Circumstances(ceilings=(BUDGET, Ceiling(3, "Unschedulable", "no node"))), limit="Unschedulable"),
    Rule("the maximum is a limit that is told", snapshot(waiting=99), 10, 10, limit="MaxReplicas"),
    Rule("nobody shrinks before it is known who is busy", snapshot(active=2), 5, 5, Circumstances(DONE),
         says="5 kept until it is known which pods are busy"),
    Rule("pods that hold one item of five each are all kept", snapshot(active=5), 5, 5,
         Circumstances(ScaleIn(NOW - 60, 1), busy=5), requeue_after=1.0, says="5 kept, for they are busy",
         policy=FIVE_EACH),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule(rule: Rule) -> None:
    decision = decide_replicas(rule.policy, rule.queue, rule.current, rule.around, NOW)
    assert decision.replicas == rule.replicas
    assert (decision.limit.reason if decision.limit else None) == rule.limit
    assert rule.says in decision.reason
    if rule.requeue_after is not None:
        assert decision.requeue_after == rule.requeue_after


def test_who_is_busy_is_asked_for_only_when_replicas_are_to_go() -> None:
    def asks(queue: QueueSnapshot, current: int, wait: ScaleIn | None) -> bool:
        return decide_replicas(policy(), queue, current, Circumstances(wait), NOW).busy_unknown

    assert asks(snapshot(active=2), 5, DONE)
    # A snapshot is a second old: items may have been taken since.
    assert asks(snapshot(), 5, DONE)
    assert not asks(snapshot(active=2), 5, ScaleIn(NOW - 30, 2))
    assert not asks(snapshot(active=2), 2, None)
    assert not asks(snapshot(active=9), 2, None)


def test_a_wait_is_not_lost_by_a_look_that_is_due() -> None:
    decision = decide_replicas(policy(), snapshot(active=2), 5, Circumstances(DONE), NOW)
    assert decision.scale_in == ScaleIn(NOW - 60, 2)
