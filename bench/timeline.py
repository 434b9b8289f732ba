"""One real run as a picture: a load that rises and falls, the workers that follow it, and the HPA between the
bounds that Bullherd holds.

    python -m bench.timeline [--picture docs/pictures/autoscaling.svg]

The pods are the project's own Python worker with the kind echo, on a Redis of this machine; the HPA is
Kubernetes' own and gets its metric through the API server. It takes five minutes and its figures are one
run's, so it is no part of ``make bench``: ``make picture`` draws it anew. It needs the local node of ``make
cluster``, and pods in the network of that node, for only that one reaches this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.drawing import Load, Sample, Step, Timeline, draw
from bench.figures import console
from bench.stage import Stage, stage
from bullherd.bullmq.connection import connect
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.bullmq.snapshots import QueueReader
from bullherd.core.snapshot import QueueKey
from dev.images import publish
from dev.paths import this_checkout
from tests.cluster.queuejobs import desired, ready
from tests.e2e.echo import echo_queuejob
from tests.fixtures.kubernetes import Body

NAME = "orders"
CONCURRENCY, MOST = 5, 12
SCALING: dict[str, Any] = {"maxReplicas": MOST, "cooldownSeconds": 20, "scaleDownDelaySeconds": 15}
LOADS = ((10, 0), (40, 5), (60, 40), (50, 5), (40, 25), (45, 0))
"""Seconds, and items that are added in each of them; one item is a second of work, more or less."""
HPA_LIMIT_S = 60.0
ADD_S = 0.25


def main() -> None:
    """Run and draw."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.timeline", description="A run under an HPA as a picture."
    )
    picture = Path("docs/pictures/autoscaling.svg")
    parser.add_argument("--picture", type=Path, default=picture, help="file to write (default: %(default)s)")
    options = parser.parse_args()
    timeline = asyncio.run(run())
    options.picture.parent.mkdir(exist_ok=True)
    options.picture.write_text(draw(timeline))
    for step in timeline.steps:
        console().print(f"{step.at:6.1f} s  {step.before} to {step.after}")


async def run() -> Timeline:
    """Everything that happened, by seconds from the begin."""
    async with stage(external_metrics=True, for_pods=True) as on:
        await on.namespace.create(queuejob())
        await ready(on.namespace, NAME)
        await warm(on)
        began = time.time()
        adding = asyncio.create_task(add(on, began))
        samples = [one async for one in look(on, began)]
        await adding
        return Timeline(tuple(loads()), tuple(samples), tuple(steps(on, began)))


def queuejob() -> Body:
    """With pods that share one network, so that none can have a port."""
    image = publish.read(this_checkout())["bullherd-worker"]
    settings, pod = {"WORKER_HTTP_PORT": "0"}, {"hostNetwork": True}
    body = echo_queuejob(
        NAME, image, concurrency=CONCURRENCY, settings=settings, pod=pod, engine="HPA", **SCALING
    )
    (container,) = body["spec"]["template"]["spec"]["containers"]
    del container["ports"], container["readinessProbe"]
    return body


async def warm(on: Stage) -> None:
    """One item before the run, so that the image is on the node and the HPA has looked once."""
    await on.node.queue(NAME).add(data={"sleep": 20})
    await on.namespace.until("HorizontalPodAutoscaler", NAME, reads_its_metric, HPA_LIMIT_S)
    await on.namespace.when(lambda: asked_for(on) == 0 and on.pods_of(NAME) == [], 2 * HPA_LIMIT_S)


def reads_its_metric(autoscaler: Body) -> bool:
    """Whether an HPA scales."""
    conditions = autoscaler.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("ScalingActive", "True") for one in conditions)


def loads() -> Iterator[Load]:
    """When each begins and ends."""
    ends = accumulate(seconds for seconds, _ in LOADS)
    for (seconds, items), end in zip(LOADS, ends, strict=True):
        yield Load(end - seconds, end, items)


async def add(on: Stage, began: float) -> None:
    """Add items as the web app does, a few at a time."""
    queue, chance = on.node.queue(NAME), random.Random(1)
    for load in loads():
        for part in range(round((load.until - load.since) / ADD_S)):
            count = round(load.items * ADD_S * (part + 1)) - round(load.items * ADD_S * part)
            if count:
                await queue.add_bulk([{"sleep": chance.uniform(0.7, 1.3)} for _ in range(count)])
            await asyncio.sleep(began + load.since + (part + 1) * ADD_S - time.time())


async def look(on: Stage, began: float) -> AsyncIterator[Sample]:
    """Each second, all of it."""
    client = connect(on.redis.endpoint)
    reader, queue = QueueReader(on.redis.endpoint, client), QueueKey("bull", NAME)
    for second in track(range(sum(seconds for seconds, _ in LOADS)), "run", console=console()):
        await asyncio.sleep(began + second - time.time())
        now = time.time()
        snapshot = (await reader.snapshots([queue], now))[queue]
        assert not isinstance(snapshot, QueueUnreadable), snapshot
        deployment = on.namespace.current("Deployment", NAME) or {}
        autoscaler = on.namespace.current("HorizontalPodAutoscaler", NAME) or {}
        yield Sample(
            at=now - began,
            waiting=snapshot.backlog - snapshot.active,
            active=snapshot.active,
            desired=desired(on.namespace.current("QueueJob", NAME) or {}) or 0,
            replicas=asked_for(on),
            ready=deployment.get("status", {}).get("readyReplicas", 0),
            least=autoscaler["spec"]["minReplicas"],
            most=autoscaler["spec"]["maxReplicas"],
        )
    await client.aclose()


def asked_for(on: Stage) -> int:
    """The Deployment's replicas."""
    body = on.namespace.current("Deployment", NAME)
    return int(body["spec"]["replicas"]) if body else 0


def steps(on: Stage, began: float) -> list[Step]:
    """Each change of replicas."""
    found, before = [], 0
    for version in on.namespace.history("Deployment", NAME):
        after = version.body["spec"]["replicas"]
        if after != before and version.at >= began:
            found.append(Step(version.at - began, before, after))
        before = after
    return found


if __name__ == "__main__":
    main()
