"""Which worker pods are busy, so that none of them goes when replicas go down.

A ReplicaSet chooses its victims itself: first pods without a node, then those that do not run yet, then those
that are not ready, and among equals those with the lowest ``controller.kubernetes.io/pod-deletion-cost``. So
before replicas go down, each pod that holds items is given the cost 2 and each other one 0. Cost alone would
not save a pod that works while it is not ready (a worker takes items before its first probe; one that is very
busy may fail them), because such a pod goes before any idle one that is ready. Therefore ``count`` follows
the ReplicaSet's own order: it is the number of replicas down to which only idle pods go.

Items whose worker says no name, or a name that no pod has, may be held by any pod that is not known to hold
something: those cost 1, and of them as many are kept as there are such items. One that holds an item may go
all the same, for nobody can tell which. It then drains, as every pod that goes does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

IDLE_COST = 0
PERHAPS_BUSY_COST = 1
BUSY_COST = 2


class PodStage(IntEnum):
    """How far a pod has come. A ReplicaSet gives up those of a lower stage first, whatever they cost."""

    UNSCHEDULED = 0
    PENDING = 1
    NOT_READY = 2
    READY = 3


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """A worker's pod as a ReplicaSet sees it when it chooses. ``owner``: that ReplicaSet's uid.

    ``leaving``: it is being deleted or has ended, so no choice is about it; what it holds, it holds.
    """

    name: str
    owner: str = ""
    stage: PodStage = PodStage.READY
    deletion_cost: int = IDLE_COST
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class QueueHolders:
    """How many active items each worker holds, by the worker's name, and how many say no name."""

    by_worker: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class PodCost:
    """A deletion cost to write to a pod."""

    name: str
    cost: int


@dataclass(frozen=True, slots=True)
class BusyPods:
    """``count``: with so many replicas no busy pod goes. ``costs``: what must be written before fewer are
    asked for; pods that cost the right sum are left out.
    """

    count: int
    costs: tuple[PodCost, ...] = ()


def busy_pods(pods: Collection[WorkerPod], holders: QueueHolders) -> BusyPods:
    """Who is busy, of all pods of one queue's workers, those that leave included."""
    names = {pod.name for pod in pods}
    unknown = holders.unknown + sum(
        items for worker, items in holders.by_worker.items() if worker not in names
    )
    staying = [pod for pod in pods if not pod.leaving]
    busy = {pod.name for pod in staying if holders.by_worker.get(pod.name)}
    may_go = min(_idle_that_go_first(staying, busy), max(0, len(staying) - len(busy) - unknown))
    others = PERHAPS_BUSY_COST if unknown else IDLE_COST
    costs = {pod.name: BUSY_COST if pod.name in busy else others for pod in staying}
    changes = (PodCost(pod.name, costs[pod.name]) for pod in staying if costs[pod.name] != pod.deletion_cost)
    return BusyPods(len(staying) - may_go, tuple(changes))


def _idle_that_go_first(pods: Iterable[WorkerPod], busy: Collection[str]) -> int:
    """How many pods can go, by the rules of their ReplicaSets, before a busy one is the next.

    While a new template rolls out there are several ReplicaSets, and nobody says which of them will shrink.
    """
    by_owner: defaultdict[str, list[WorkerPod]] = defaultdict(list)
    for pod in pods:
        by_owner[pod.owner].append(pod)
    idle = sum(pod.name not in busy for owned in by_owner.values() for pod in owned)
    for owned in by_owner.values():
        stages = [pod.stage for pod in owned if pod.name in busy]
        if stages:
            idle = min(idle, sum(pod.name not in busy and pod.stage <= min(stages) for pod in owned))
    return idle
