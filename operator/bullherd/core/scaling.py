"""How many replicas a queue should have: the whole scaling policy, on one screen.

Growing is immediate and in one step. Shrinking waits: replicas go down only after demand has been below them
for ``cooldown`` seconds, and then to the highest demand seen in that time, never below the pods that are
busy. A queue that falls idle starts that wait anew, so that "cooldown" is the idle time before the last pods
go. The wait is carried in the resource's status (``ScaleIn``), so a restarted operator does not begin it
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from bullherd.core.snapshot import QueueSnapshot


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """A QueueJob's ``spec.scaling`` with its defaults resolved. ``cooldown`` in seconds."""

    min_replicas: int
    max_replicas: int
    items_per_replica: int
    concurrency: int
    cooldown: float


@dataclass(frozen=True, slots=True)
class ScaleIn:
    """A wait to shrink: demand has been below the replicas since ``since`` and was ``peak`` at most."""

    since: float
    peak: int


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """``reason`` is a sentence for people; ``requeue_after`` the seconds until time alone changes the
    answer.
    """

    replicas: int
    reason: str
    scale_in: ScaleIn | None = None
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """Replicas that the queue's items ask for, before any waiting, and why."""

    replicas: int
    reason: str


def demand_of(policy: ScalingPolicy, snapshot: QueueSnapshot) -> Demand:
    """Replicas that could work right now. Items that may not start (paused, rate limited) ask for none."""
    startable = snapshot.backlog - snapshot.active
    if snapshot.paused:
        items, why = snapshot.active, f"the queue is paused ({startable} waiting)"
    elif snapshot.rate_limited_for > 0:
        items = snapshot.active
        why = f"the queue's rate limit is used up for {snapshot.rate_limited_for:.1f} s ({startable} waiting)"
    elif snapshot.backlog:
        items = snapshot.backlog
        why = f"backlog {items} at {policy.items_per_replica} per replica"
    else:
        items, why = 0, "the queue is empty"

    wanted = ceil(items / policy.items_per_replica)
    for limit, beside, name in (
        (snapshot.global_concurrency, 0, "global concurrency"),
        # So many may begin in each of its periods, beside those that still run from the periods before.
        (snapshot.rate_limit_max, snapshot.active, "rate limit"),
    ):
        if limit and wanted > (most := ceil((limit + beside) / policy.concurrency)):
            wanted, why = most, f"{why}, capped by the queue's {name} of {limit}"
    if wanted > policy.max_replicas:
        wanted, why = policy.max_replicas, f"{why}, capped by maxReplicas {policy.max_replicas}"
    if wanted < policy.min_replicas:
        wanted, why = policy.min_replicas, f"{why}, raised to minReplicas {policy.min_replicas}"
    return Demand(wanted, why)


def decide_replicas(
    policy: ScalingPolicy, snapshot: QueueSnapshot, current: int, scale_in: ScaleIn | None, now: float
) -> ScalingDecision:
    """The next number of replicas, given that ``current`` are asked for today."""
    demand = demand_of(policy, snapshot)
    if demand.replicas >= current:
        return ScalingDecision(demand.replicas, demand.reason)

    waiting = _wait_of(scale_in, demand.replicas, policy.min_replicas, now)
    left = waiting.since + policy.cooldown - now
    if left > 0:
        reason = f"{demand.reason}; {current} kept for another {left:.0f} s of cooldown"
        return ScalingDecision(current, reason, waiting, left)

    busy = min(current, ceil(snapshot.active / policy.concurrency))
    # The peak is of another time: maxReplicas or the replicas themselves may have been lowered since.
    needed = min(waiting.peak, policy.max_replicas, current)
    if busy > needed:
        reason = f"{demand.reason}; {busy} kept for {snapshot.active} active items"
        return ScalingDecision(busy, reason, waiting)
    if needed == demand.replicas:
        return ScalingDecision(needed, demand.reason)
    reason = f"{demand.reason}; {needed} was the highest need of the cooldown"
    return ScalingDecision(needed, reason, ScaleIn(now, demand.replicas), policy.cooldown)


def _wait_of(scale_in: ScaleIn | None, demand: int, lowest: int, now: float) -> ScaleIn:
    if scale_in is None:
        return ScaleIn(now, demand)
    if demand <= lowest < scale_in.peak:
        return ScaleIn(now, demand)
    # A wait from the future comes from another operator whose clock is ahead; it must not last longer for it.
    return ScaleIn(min(scale_in.since, now), max(scale_in.peak, demand))
