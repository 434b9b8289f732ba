"""Who is busy before replicas go down, and how that is written. Needs nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.holders import HolderReader
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.controllers.scale_in import ScaleInLooks
from bullherd.core.busy import BusyPods, PodCost, QueueHolders
from bullherd.core.snapshot import QueueKey
from bullherd.kube.client import Body, Kubernetes, KubernetesError, Resource
from bullherd.kube.pod_costs import DELETION_COST_ANNOTATION
from bullherd.kube.pods import PODS
from tests.unit.controllers.fake_kubernetes import FakeKubernetes
from tests.unit.test_pod_costs import pod

KEY = ("shop", "emails")
QUEUE = QueueKey("bull", "emails")


class Holders(HolderReader):
    """A queue whose items are held as the test says."""

    def __init__(self, shown: QueueHolders | QueueUnreadable | RedisUnavailable) -> None:
        self.shown = shown

    async def holders(self, queue: QueueKey) -> QueueHolders | QueueUnreadable:
        assert queue == QUEUE
        if isinstance(self.shown, RedisUnavailable):
            raise self.shown
        return self.shown


@pytest.fixture
def api() -> FakeKubernetes:
    """Three pods."""
    api = FakeKubernetes()
    for number in range(3):
        api.put(PODS, pod(f"emails-{number}"))
    return api


def costs(api: FakeKubernetes) -> list[str | None]:
    return [one["metadata"].get("annotations", {}).get(DELETION_COST_ANNOTATION) for one in api.all("pods")]


async def test_busy_pods_are_marked_once_and_idle_again_when_they_are(api: FakeKubernetes) -> None:
    looks, reader = ScaleInLooks(api), Holders(QueueHolders({"emails-1": 2}))
    for _ in range(2):
        busy = await looks.look(KEY, reader, QUEUE)
        assert busy is not None
        assert busy.count == 1
        await looks.mark(KEY, busy)
    assert costs(api) == [None, "2", None]
    assert api.count("PATCH", "pods") == 1

    reader.shown = QueueHolders({"emails-2": 1})
    busy = await ScaleInLooks(api).look(KEY, reader, QUEUE)
    assert busy is not None
    await looks.mark(KEY, busy)
    assert costs(api) == [None, "0", "2"]
    assert api.count("PATCH", "pods") == 3


@pytest.mark.parametrize(
    "trouble", [RedisUnavailable("redis:6379/0", "it is away"), QueueUnreadable("Not BullMQ's.")]
)
async def test_a_queue_that_cannot_be_read_is_no_idle_queue(
    api: FakeKubernetes, trouble: QueueUnreadable | RedisUnavailable
) -> None:
    assert await ScaleInLooks(api).look(KEY, Holders(trouble), QUEUE) is None


async def test_pods_that_cannot_be_listed_are_no_idle_pods(api: FakeKubernetes) -> None:
    api.refuses = lambda *_: KubernetesError(403, "pods is forbidden")
    assert await ScaleInLooks(api).look(KEY, Holders(QueueHolders()), QUEUE) is None


async def test_a_mark_that_fails_is_told_and_the_others_are_written(api: FakeKubernetes) -> None:
    answers = iter([KubernetesError(500, "no"), None, None])
    api.refuses = lambda *_: next(answers)
    marks = BusyPods(3, tuple(PodCost(f"emails-{number}", 1) for number in range(3)))
    with pytest.raises(KubernetesError, match="no"):
        await ScaleInLooks(api).mark(KEY, marks)
    assert costs(api) == [None, "1", "1"]


async def test_a_pod_that_went_meanwhile_needs_no_mark(api: FakeKubernetes) -> None:
    await ScaleInLooks(api).mark(KEY, BusyPods(1, (PodCost("emails-9", 1), PodCost("emails-0", 1))))
    assert costs(api) == ["1", None, None]


class CountsAtOnce(Kubernetes):
    """An API server that takes its time."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0

    async def patch(self, resource: Resource, namespace: str, name: str, change: Body) -> Body:
        self.now += 1
        self.all += 1
        self.most = max(self.most, self.now)
        for _ in range(3):
            await asyncio.sleep(0)
        self.now -= 1
        done: dict[str, Any] = {}
        return done


async def test_ten_marks_at_once_at_most() -> None:
    api = CountsAtOnce()
    marks = BusyPods(200, tuple(PodCost(f"emails-{number}", 1) for number in range(200)))
    await ScaleInLooks(api).mark(KEY, marks)
    assert (api.most, api.all) == (10, 200)
