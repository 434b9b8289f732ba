"""Why no worker pod works, from what the pods say. Needs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import pytest

from bullherd.core.pods import PodState, look_at_pods_in, why_none_works
from tests.unit.builders import NOW

QUOTA = "The workers' pods do not start: exceeded quota: pods"


def pods(
    count: int, reason: str = "", message: str = "", restarted_at: float | None = None
) -> list[PodState]:
    return [PodState(f"{reason or 'ready'}-{n}", reason, message, restarted_at) for n in range(count)]


READY = pods(1)
NO_IMAGE = pods(2, "ErrImagePull", "not found")
BACK_OFF = pods(1, "ImagePullBackOff", "Back-off pulling image")
NO_SECRET = pods(1, "CreateContainerConfigError", 'secret "redis" not found')
NO_NODE = pods(3, "Unschedulable", "0/1 nodes are available")
CRASHING = pods(1, "CrashLoopBackOff", "the container worker ended with exit code 1 (Error)")
COMING = pods(2, "ContainerCreating")
SLOW = pods(1, "NotReady", "the container worker runs and is not ready")
JUST_RESTARTED = pods(1, restarted_at=NOW - 1)
LONG_RESTARTED = pods(1, restarted_at=NOW - 15)


@dataclass(frozen=True)
class Row:
    """``says``: the sentence's beginning, None when there is nothing to say."""

    name: str
    pods: list[PodState]
    says: str | None
    waited: float = 20.0
    otherwise: str | None = None

    def __str__(self) -> str:
        return self.name


ROWS = [
    Row("one that is ready is enough", READY + NO_IMAGE, None),
    Row("but what the Deployment says stays", READY + NO_IMAGE, QUOTA, otherwise=QUOTA),
    Row("a wrong image", NO_IMAGE, "No worker pod is ready; 2 of 2: ErrImagePull: not found. Mend the image"),
    Row(
        "both words of a wrong image are one trouble", NO_IMAGE + BACK_OFF, "No worker pod is ready; 3 of 3: "
    ),
    Row("no Secret", NO_SECRET, 'No worker pod is ready; 1 of 1: CreateContainerConfigError: secret "redis"'),
    Row("no node", NO_NODE, "No worker pod is ready; 3 of 3: Unschedulable: 0/1 nodes are available. Make"),
    Row("crashing", CRASHING, "No worker pod is ready; 1 of 1: CrashLoopBackOff: the container worker ended"),
    Row("the trouble of most is told", NO_IMAGE + NO_SECRET, "No worker pod is ready; 2 of 3: ErrImagePull"),
    Row(
        "but what got furthest before no node", NO_NODE + NO_SECRET, "No worker pod is ready; 1 of 4: Create"
    ),
    Row(
        "trouble before what is normal", COMING + NO_SECRET, "No worker pod is ready; 1 of 3: CreateContainer"
    ),
    Row("coming is no trouble", COMING + SLOW, None),
    Row("for two minutes", COMING, "No worker pod is ready; 2 of 2: ContainerCreating. ", waited=120),
    Row("nor is slow", SLOW, None, waited=119),
    Row(
        "for two minutes either", SLOW, "No worker pod is ready; 1 of 1: NotReady: the container", waited=121
    ),
    Row("no pods yet", [], None),
    Row("no pods for long", [], "No worker pod was made in 130 s.", waited=130),
    Row("no pods, and the Deployment knows why", [], QUOTA, waited=130, otherwise=QUOTA),
    Row("pods know better than the Deployment", NO_IMAGE, "No worker pod is ready; 2", otherwise=QUOTA),
    Row(
        "a moment after a crash is not well",
        JUST_RESTARTED,
        "No worker pod is ready; 1 of 1: CrashLoopBackOff",
    ),
    Row("some time after a crash is", LONG_RESTARTED + CRASHING, None),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_why_none_works(row: Row) -> None:
    said = why_none_works(row.pods, row.waited, row.otherwise, NOW)
    if row.says is None:
        assert said is None
    else:
        assert said is not None
        assert said.startswith(row.says)
        assert said == QUOTA or said.endswith((".", "?"))


def test_the_order_of_the_list_changes_nothing() -> None:
    """Or the message would be another one at each look."""
    mixed = [*pods(1, "ErrImagePull", "a"), *pods(1, "ImagePullBackOff", "b"), *pods(2, "InvalidImageName")]
    said = {why_none_works(order, 20, None, NOW) for order in permutations(mixed)}
    assert len(said) == 1


@pytest.mark.parametrize(
    ("since", "in_trouble", "due"),
    [
        (None, False, None),
        (NOW - 5, False, 10.0),
        (NOW - 15, False, 0.0),
        (NOW - 500, False, 0.0),
        (None, True, 0.0),
        (NOW - 1, True, 0.0),
    ],
)
def test_when_to_look(since: float | None, in_trouble: bool, due: float | None) -> None:
    assert look_at_pods_in(since, in_trouble, NOW) == due
