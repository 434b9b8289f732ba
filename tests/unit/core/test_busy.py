"""Which worker pods are busy and how many must stay, as a table and against a ReplicaSet's own rules.

Needs hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.core.busy import BusyPods, PodCost, PodStage, QueueHolders, WorkerPod, busy_pods


def pod(name: str, stage: PodStage = PodStage.READY, cost: int = 0, **more: object) -> WorkerPod:
    return replace(WorkerPod(name, "rs", stage, cost), **more)  # type: ignore[arg-type]


def holders(unknown: int = 0, **by_worker: int) -> QueueHolders:
    return QueueHolders(by_worker, unknown)


A, B, C = pod("a"), pod("b"), pod("c")
STARTING = pod("starting", PodStage.NOT_READY)
PERHAPS = {"a": 1, "b": 1, "c": 1}


@dataclass(frozen=True)
class Row:
    """``costs``: what is to be written."""

    name: str
    pods: Sequence[WorkerPod]
    holders: QueueHolders
    count: int
    costs: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


ROWS = [
    Row("without pods nobody is busy", [], holders(), 0),
    Row("pods that hold nothing may all go", [A, B, C], holders(), 0),
    Row("one that holds an item stays", [A, B, C], holders(b=1), 1, {"b": 2}),
    Row("two items of one pod are one pod", [A, B, C], holders(b=2), 1, {"b": 2}),
    Row("what costs the right sum is not written", [A, pod("b", cost=2)], holders(b=1), 1),
    Row(
        "one that has become idle costs nothing again",
        [pod("a", cost=2), B],
        holders(b=1),
        1,
        {"a": 0, "b": 2},
    ),
    Row("a cost of the template's own is replaced", [pod("a", cost=7), B], holders(b=1), 1, {"a": 0, "b": 2}),
    Row("all are busy", [A, B], holders(a=1, b=1), 2, {"a": 2, "b": 2}),
    Row("an item without a name may be any idle pod's", [A, B, C], holders(1), 1, PERHAPS),
    Row("and is not a busy one's", [A, B, C], holders(1, a=1), 2, {"a": 2, "b": 1, "c": 1}),
    Row("more such items than pods keep all pods", [A, B], holders(7), 2, {"a": 1, "b": 1}),
    Row("a worker that has no pod's name may be any idle pod", [A, B, C], holders(emails=2), 2, PERHAPS),
    Row("a pod that leaves needs no protection", [A, pod("b", leaving=True)], holders(b=3), 0),
    Row("nor does it take a place", [A, pod("b", leaving=True)], holders(a=1, b=1), 1, {"a": 2}),
    Row("an idle pod that starts goes before a ready one", [A, STARTING], holders(a=1), 1, {"a": 2}),
    Row(
        "a busy pod that starts would go first, so none goes",
        [A, B, STARTING],
        holders(starting=1),
        3,
        {"starting": 2},
    ),
    Row(
        "but those go that are not even that far",
        [A, pod("b", PodStage.PENDING), pod("c", PodStage.UNSCHEDULED), STARTING],
        holders(starting=1),
        2,
        {"starting": 2},
    ),
    Row(
        "and idle ones that are just as far",
        [A, STARTING, pod("c", PodStage.NOT_READY)],
        holders(starting=1),
        2,
        {"starting": 2},
    ),
    Row(
        "while a template rolls out either ReplicaSet may shrink",
        [pod("a", owner="old"), pod("b", owner="old"), pod("c", owner="new"), pod("d", owner="new")],
        holders(a=1),
        3,
        {"a": 2},
    ),
    Row(
        "and one where all are busy must not",
        [pod("a", owner="old"), pod("c", owner="new"), pod("d", owner="new")],
        holders(a=1),
        3,
        {"a": 2},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_is_busy(row: Row) -> None:
    busy = busy_pods(row.pods, row.holders)
    assert busy == BusyPods(row.count, tuple(PodCost(name, cost) for name, cost in row.costs.items()))


names = st.integers(0, 9).map(lambda number: f"pod-{number}")
some_pods = st.lists(
    st.builds(
        WorkerPod,
        names,
        st.sampled_from(["old", "new"]),
        st.sampled_from(PodStage),
        st.integers(-1, 3),
        st.booleans(),
    ),
    unique_by=lambda one: one.name,
    max_size=8,
)
# Some names are of pods that are not there.
named = st.dictionaries(names, st.integers(1, 3), max_size=5)
some_holders = st.builds(QueueHolders, named, st.integers(0, 3))


def marked(pods: Sequence[WorkerPod], busy: BusyPods) -> list[WorkerPod]:
    costs = {one.name: one.cost for one in busy.costs}
    return [replace(one, deletion_cost=costs.get(one.name, one.deletion_cost)) for one in pods]


@given(some_pods, some_holders, st.data())
def test_no_pod_that_is_known_to_hold_an_item_goes(
    pods: list[WorkerPod], held: QueueHolders, data: st.DataObject
) -> None:
    """However the replicas that go are shared among the ReplicaSets, and whoever goes first among equals."""
    busy = busy_pods(pods, held)
    staying = [one for one in marked(pods, busy) if not one.leaving]
    left_to_go = len(staying) - busy.count
    for owner in ("old", "new"):
        owned = data.draw(st.permutations([one for one in staying if one.owner == owner]))
        owned.sort(key=lambda one: (one.stage, one.deletion_cost))
        going = data.draw(st.integers(0, left_to_go))
        left_to_go -= going
        assert not any(one.name in held.by_worker for one in owned[:going])


@given(some_pods, some_holders)
def test_at_least_the_pods_that_hold_items_and_at_most_all_stay(
    pods: list[WorkerPod], held: QueueHolders
) -> None:
    staying = [one.name for one in pods if not one.leaving]
    known = sum(name in held.by_worker for name in staying)
    count = busy_pods(pods, held).count
    assert min(known + held.unknown, len(staying)) <= count <= len(staying)


@given(some_pods, some_holders)
def test_only_what_differs_is_written_and_once(pods: list[WorkerPod], held: QueueHolders) -> None:
    busy = busy_pods(pods, held)
    before = {one.name: one for one in pods}
    assert all(before[one.name].deletion_cost != one.cost for one in busy.costs)
    assert not any(before[one.name].leaving for one in busy.costs)
    assert busy_pods(marked(pods, busy), held) == replace(busy, costs=())


@given(some_pods, some_holders, names)
def test_one_more_item_never_lets_more_pods_go(
    pods: list[WorkerPod], held: QueueHolders, worker: str
) -> None:
    more = replace(held, by_worker={**held.by_worker, worker: held.by_worker.get(worker, 0) + 1})
    assert busy_pods(pods, more).count >= busy_pods(pods, held).count
    assert busy_pods(pods, replace(held, unknown=held.unknown + 1)).count >= busy_pods(pods, held).count
