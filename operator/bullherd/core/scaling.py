"""How many replicas a queue should have: the whole scaling policy, on one screen.

Growing is immediate and in one step, but for what holds it down: a rate per second that the user set, and a
ceiling (a budget that is used up, pods that find no node). Shrinking waits: replicas go down only after
demand has been below them for ``scale_down_delay`` seconds, and then to the highest demand seen in that time,
never below the pods that are busy. A queue that falls idle starts that wait anew, and its last replica goes
only when it has been idle for ``cooldown`` seconds. The wait is carried in the resource's status
(``ScaleIn``), so a restarted operator does not begin it again.

Both engines ask here. Direct writes the answer as replicas; for an HPA it becomes the least that the HPA may
go down to (see ``core.autoscaler``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bullherd.core.demand import Demand, demand_of
from bullherd.core.floors import FloorNow
from bullherd.core.policy import ScalingPolicy
from bullherd.core.snapshot import QueueSnapshot


@dataclass(frozen=True, slots=True)
class ScaleIn:
    """A wait to shrink: demand has been below the replicas since ``since`` and was ``peak`` at most."""

    since: float
    peak: int


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Why there may not be more than ``replicas`` now, whatever the demand. ``reason`` is CamelCase for a
    condition, ``message`` a sentence.
    """

    replicas: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What bears on the answer beside the queue itself.

    ``busy``: pods that hold items, or may; None when nobody has looked. ``grown_at``: when replicas were last
    added, unix seconds.
    """

    scale_in: ScaleIn | None = None
    busy: int | None = None
    floor: FloorNow | None = None
    ceilings: tuple[Ceiling, ...] = ()
    grown_at: float | None = None


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """``reason`` is a sentence for people; ``requeue_after`` the seconds until time alone changes the
    answer. ``demand``: replicas that the queue could use; ``limit``: what keeps them below that.

    ``busy_unknown``: fewer replicas are due, but which pods are busy must be known first; ``replicas`` are
    held so long.
    """

    replicas: int
    reason: str
    demand: int = 0
    scale_in: ScaleIn | None = None
    requeue_after: float | None = None
    limit: Ceiling | None = None
    busy_unknown: bool = False


def decide_replicas(
    policy: ScalingPolicy, snapshot: QueueSnapshot, current: int, around: Circumstances, now: float
) -> ScalingDecision:
    """The next number of replicas, given that ``current`` are asked for today."""
    demand = _raised(demand_of(policy, snapshot), policy, around.floor)
    if current == 0 and 0 < snapshot.backlog <= policy.activation_backlog and not _kept(policy, around.floor):
        reason = f"backlog {snapshot.backlog} is not above activationBacklog {policy.activation_backlog}"
        return ScalingDecision(0, reason)
    limit = min(around.ceilings, key=lambda ceiling: ceiling.replicas, default=None)
    if limit is None or demand.replicas <= limit.replicas:
        limit = None
        decision = _unlimited(policy, demand, current, around, now)
    else:
        limited = replace(demand, replicas=limit.replicas, reason=f"{demand.reason}; {limit.message}")
        if limit.replicas >= current:
            decision = _grown(policy, limited, current, around.grown_at, now)
        else:
            # What others are to get is given up at once, not after a cooldown; work that runs is not.
            decision = _shrunk(limited, limit.replicas, current, around.busy)
    if limit is None and demand.unbounded > policy.max_replicas:
        limit = Ceiling(
            policy.max_replicas,
            "MaxReplicas",
            f"The queue could use {demand.unbounded} replicas; maxReplicas is {policy.max_replicas}.",
        )
    return replace(decision, demand=demand.replicas, limit=limit)


def _kept(policy: ScalingPolicy, floor: FloorNow | None) -> bool:
    """Whether there are replicas for an empty queue, too."""
    return policy.min_replicas > 0 or (floor is not None and floor.min_replicas > 0)


def _unlimited(
    policy: ScalingPolicy, demand: Demand, current: int, around: Circumstances, now: float
) -> ScalingDecision:
    if demand.replicas >= current:
        return _grown(policy, demand, current, around.grown_at, now)
    return _waited(policy, demand, current, around, now)


def _raised(demand: Demand, policy: ScalingPolicy, floor: FloorNow | None) -> Demand:
    least = min(floor.min_replicas, policy.max_replicas) if floor else 0
    if floor is None or demand.replicas >= least:
        return demand
    return replace(demand, replicas=least, reason=f"{demand.reason}, raised to {least} by the {floor.reason}")


def _grown(
    policy: ScalingPolicy, demand: Demand, current: int, grown_at: float | None, now: float
) -> ScalingDecision:
    rate = policy.max_scale_up
    if rate is None or demand.replicas == current:
        return ScalingDecision(demand.replicas, demand.reason)
    why = f"{demand.reason}; at most maxScaleUpPerSecond {rate} more in a second"
    left = 0.0 if grown_at is None else min(1.0, grown_at + 1.0 - now)
    if left > 0:
        return ScalingDecision(current, why, requeue_after=left)
    if demand.replicas <= current + rate:
        return ScalingDecision(demand.replicas, demand.reason)
    return ScalingDecision(current + rate, why, requeue_after=1.0)


def _waited(
    policy: ScalingPolicy, demand: Demand, current: int, around: Circumstances, now: float
) -> ScalingDecision:
    waiting = _wait_of(around.scale_in, demand.replicas, policy.min_replicas, now)
    left = waiting.since + policy.scale_down_delay - now
    if left > 0:
        reason = f"{demand.reason}; {current} kept for another {left:.0f} s of cooldown"
        return ScalingDecision(current, reason, scale_in=waiting, requeue_after=left)
    last_goes_in = waiting.since + policy.cooldown - now if demand.replicas == 0 else 0.0
    # The peak is of another time: maxReplicas or the replicas themselves may have been lowered since.
    needed = min(max(waiting.peak, 1 if last_goes_in > 0 else 0), policy.max_replicas, current)
    if last_goes_in > 0:
        demand = replace(
            demand, reason=f"{demand.reason}; 1 kept for another {last_goes_in:.0f} s of cooldown"
        )
    elif needed > demand.replicas:
        demand = replace(demand, reason=f"{demand.reason}; {needed} was the highest need of the cooldown")
    decision = _shrunk(demand, needed, current, around.busy)
    if needed < current or last_goes_in > 0:
        # The wait is not over before the replicas have gone: an HPA takes its time.
        look_again = last_goes_in if last_goes_in > 0 else decision.requeue_after
        return replace(decision, scale_in=waiting, requeue_after=look_again)
    another = ScaleIn(now, demand.replicas)
    return replace(decision, scale_in=another, requeue_after=policy.scale_down_delay)


def _shrunk(demand: Demand, needed: int, current: int, busy: int | None) -> ScalingDecision:
    """Down to what is needed, but never below the pods that are busy.

    The snapshot is a second old, so that it shows no active items does not mean that there are none.
    """
    if needed >= current:
        return ScalingDecision(needed, demand.reason)
    if busy is None:
        reason = f"{demand.reason}; {current} kept until it is known which pods are busy"
        return ScalingDecision(current, reason, busy_unknown=True)
    kept = min(current, busy)
    if kept > needed:
        reason = f"{demand.reason}; {kept} kept, for they are busy"
        return ScalingDecision(kept, reason, requeue_after=1.0)
    return ScalingDecision(needed, demand.reason)


def _wait_of(scale_in: ScaleIn | None, demand: int, lowest: int, now: float) -> ScaleIn:
    if scale_in is None:
        return ScaleIn(now, demand)
    if demand <= lowest < scale_in.peak:
        return ScaleIn(now, demand)
    # A wait from the future comes from another operator whose clock is ahead; it must not last longer for it.
    return ScaleIn(min(scale_in.since, now), max(scale_in.peak, demand))
