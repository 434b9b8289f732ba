"""What a queue's items ask for, before any waiting: the same for the operator and for an HPA.

Only items that could be worked now count. A pause, a used-up rate limit and BullMQ's own limits make workers
idle, however long the queue is, so what lies behind them asks for none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from bullherd.core.policy import ScalingPolicy
from bullherd.core.snapshot import QueueSnapshot


@dataclass(frozen=True, slots=True)
class Demand:
    """``replicas`` that could work right now, within the policy's bounds, and why.

    ``unbounded``: the same without ``max_replicas``. ``items``: what an HPA divides by ``items_per_replica``,
    without either bound, for they are its own; never below what the replicas that are busy stand for.
    """

    replicas: int
    unbounded: int
    items: int
    reason: str


def demand_of(policy: ScalingPolicy, snapshot: QueueSnapshot) -> Demand:
    """Items that may not start (paused, rate limited, above the queue's own limits) ask for no replicas."""
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
            items = most * policy.items_per_replica
    items = max(items, ceil(snapshot.active / policy.concurrency) * policy.items_per_replica)
    unbounded = max(wanted, policy.min_replicas)
    if wanted > policy.max_replicas:
        wanted, why = policy.max_replicas, f"{why}, capped by maxReplicas {policy.max_replicas}"
    if wanted < policy.min_replicas:
        wanted, why = policy.min_replicas, f"{why}, raised to minReplicas {policy.min_replicas}"
    return Demand(wanted, unbounded, items, why)
