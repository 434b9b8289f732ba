"""Pods are cut by the hundred while the queue is worked, and no item notices.

Needs the cluster, with its images, and Node 20. A pod that has taken an item in the moment in which it was
chosen drains; how many did is told, for that depends on how fast the cluster is.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import pytest_asyncio

from tests.cluster.queuejobs import ready, replicas
from tests.e2e.conftest import Echo, Measured
from tests.e2e.echo import echo_queuejob
from tests.e2e.node_pods import node_image, node_queuejob
from tests.e2e.pods import PodLogs, exit_code, workers
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode, Item, Major, NodeQueue

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

Kind = Literal["python"] | Major

CUTS = 100
"""By each kind of workers: 300 in all."""
CONCURRENCY = 2
MOST, FEW = 16, 4
"""Pods at the top of a wave, and at its bottom."""
HIGH, LOW = (MOST + 4) * CONCURRENCY, (FEW - 1) * CONCURRENCY
"""Items in the queue meanwhile: work for more than MOST pods, and for less than FEW."""
WAVE_LIMIT_S = 90.0
KILLED = 137


class Load:
    """Keeps ``level`` items waiting or active, whatever the workers do."""

    def __init__(self, queue: NodeQueue) -> None:
        self.level = 0
        self.added: list[str] = []
        self._ending = False
        self._queue = queue
        self._chance = random.Random(1)
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Add no more; what is being added is known then."""
        self._ending = True
        await self._task

    async def _keep(self) -> None:
        while not self._ending:
            counts = await self._queue.counts()
            missing = self.level - counts["waiting"] - counts["active"]
            if missing > 0:
                self.added += await self._queue.add_bulk([self._item() for _ in range(missing)])
            await asyncio.sleep(0.1)

    def _item(self) -> dict[str, Any]:
        return {"log": ["begun"], "sleep": self._chance.choice([0.2, 0.3, 0.5, 0.8])}


@dataclass(frozen=True)
class Cut:
    """A pod that was deleted: when the API server told so, unix seconds, and how its container ended."""

    pod: str
    at: float
    exit_code: int | None


def cuts(place: Namespace, queuejob: str) -> list[Cut]:
    """Of this QueueJob so far."""
    found = []
    for name in place.names("Pod"):
        versions = place.history("Pod", name)
        labels = versions[-1].body["metadata"].get("labels", {})
        leaving = [one for one in versions if "deletionTimestamp" in one.body["metadata"]]
        if labels.get("bullherd.dev/queuejob") == queuejob and leaving:
            found.append(Cut(name, leaving[0].at, exit_code(versions[-1].body)))
    return found


def staying(place: Namespace, queuejob: str) -> list[Body]:
    """Its pods without those that leave."""
    return [pod for pod in workers(place, queuejob) if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: Body) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def held_at(cut: Cut, items: list[Item]) -> int:
    """How many items the pod was working on when it was told to go."""
    return sum(
        item.processedBy == cut.pod and (item.processedOn or 0) <= cut.at * 1000 <= (item.finishedOn or 0)
        for item in items
    )


@pytest.fixture(params=["python", "v5", "v6"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Whose workers: ours, or bullmq's in one of its majors."""
    chosen: Kind = request.param
    return chosen


@pytest_asyncio.fixture
async def worked(kind: Kind, place: Namespace, images: Mapping[str, str]) -> str:
    """The name of a QueueJob, and of its queue, whose pods are of that kind."""
    name = f"waves-{kind}"
    arguments: dict[str, Any] = {"concurrency": CONCURRENCY, "engine": "Direct", "maxReplicas": MOST}
    if kind == "python":
        image = await asyncio.to_thread(images.__getitem__, "bullherd-worker")
        body = echo_queuejob(name, image, **arguments)
    else:
        image = await asyncio.to_thread(node_image, images)
        body = node_queuejob(name, image, kind, **arguments)
    await place.create(body)
    await ready(place, name)
    return name


@pytest_asyncio.fixture
async def load(node: BullmqNode, worked: str) -> AsyncIterator[Load]:
    """On that QueueJob's queue; none at first."""
    load = Load(node.queue(worked))
    yield load
    await load.stop()


@pytest.mark.timeout(900)
async def test_no_item_notices_that_pods_are_cut(
    place: Namespace, node: BullmqNode, worked: str, load: Load, measured: Measured
) -> None:
    while len(cuts(place, worked)) < CUTS:
        load.level = HIGH
        await place.when(lambda: sum(map(is_ready, staying(place, worked))) == MOST, WAVE_LIMIT_S)
        load.level = LOW
        await place.when(lambda: len(staying(place, worked)) <= FEW, WAVE_LIMIT_S)
    await load.stop()
    await replicas(place, worked, 0, WAVE_LIMIT_S)
    await place.when(lambda: not workers(place, worked), WAVE_LIMIT_S)

    gone, queue = cuts(place, worked), node.queue(worked)
    items = await queue.items("completed", "failed", "active", "wait")
    held = [count for cut in gone if (count := held_at(cut, items))]
    ends = Counter(cut.exit_code for cut in gone)
    measured(
        f"{len(gone)} pods of {worked} cut while {len(items)} items were worked: "
        f"{len(held)} had just taken {sum(held)} items and drained; exit codes {dict(ends)}"
    )
    assert {item.id for item in items} == set(load.added)
    assert Counter(item.state for item in items) == {"completed": len(items)}
    interrupted = [item for item in items if (item.attemptsMade, item.stalledCounter) != (1, 0)]
    assert interrupted == []
    assert [item for item in items if item.logs != ["begun"]] == []
    assert KILLED not in ends


async def test_idle_pods_go_whichever_they_are(
    place: Namespace, node: BullmqNode, echo: Echo, logs: PodLogs
) -> None:
    """Four pods of eight are busy for long; no other item comes, so nothing may drain."""
    name = await echo(engine="Direct", maxReplicas=8)
    queue = node.queue(name)
    short = await queue.add_bulk([{"sleep": 1}] * 4)
    await replicas(place, name, 4)
    long = await queue.add_bulk([{"sleep": 20}] * 4)
    await replicas(place, name, 8)
    await logs.event("echo_job_start", count=8, limit=WAVE_LIMIT_S, queue=name)
    await replicas(place, name, 4)
    await place.when(lambda: len(workers(place, name)) == 4, WAVE_LIMIT_S)

    held = {said.pod for said in logs.seen("echo_job_start") if said.fields["jobId"] in long}
    assert {pod["metadata"]["name"] for pod in workers(place, name)} == held
    assert {said.fields["jobId"] for said in logs.seen("worker_job_completed", queue=name)} == set(short)
    assert (await queue.counts())["active"] == 4
    for item in long:
        await queue.wait_until_finished(item, WAVE_LIMIT_S)
    assert {item.attemptsStarted for item in await queue.items("completed")} == {1}
    await replicas(place, name, 0)
