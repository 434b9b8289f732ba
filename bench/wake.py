"""How long it takes from an item that the web app adds to replicas, and to a pod that is ready.

    python -m bench.wake [--wakes 50] [--pods 10]

A wake begins before bullmq in Node is asked to add the item, and ends when a watch shows the Deployment with
replicas. The limit, measured in turn with it: a bare server-side apply of replicas until the same watch shows
them. The pauses between wakes are random, so that no wake profits from the rhythm of the operator's tick.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from rich.progress import track

from bench.figures import Series, console, times_table
from bench.stage import Stage, stage
from tests.cluster.queuejobs import PAUSING, UNSCHEDULABLE, queuejob, ready, replicas
from tests.fixtures.kubernetes import Body

LIMIT_S = 30.0
LOOKS = 200

Holds = Callable[[Body], bool]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.wake", description="Time from an item to replicas."
    )
    parser.add_argument("--wakes", type=int, default=50, help="wakes to replicas (default: %(default)s)")
    parser.add_argument("--pods", type=int, default=10, help="wakes to a Ready pod (default: %(default)s)")
    options, _ = parser.parse_known_args()
    asyncio.run(measure(options.wakes, options.pods))


async def measure(wakes: int, pods: int) -> None:
    """All rows of the table."""
    bare = Series("bare apply of replicas, to the watch", [])
    wake = Series("item added by Node, to replicas >= 1", [], "p50 <= 100, p99 <= 500", bare)
    bare_pod = Series("bare apply of replicas, to a Ready pod", [])
    wake_pod = Series("item added by Node, to a Ready pod", [], limit=bare_pod)
    async with stage() as on:
        for name, template in (("light", UNSCHEDULABLE), ("real", PAUSING)):
            await on.namespace.create(bare_deployment(f"bare-{name}", template))
            await on.namespace.create(queuejob(name, cooldownSeconds=0, template=template))
            await ready(on.namespace, name)
        for _ in track(range(wakes), "wakes to replicas", console=console()):
            bare.seconds.append(await bare_scaling(on, "bare-light", has_replicas))
            wake.seconds.append(await one_wake(on, "light", has_replicas))
        for _ in track(range(pods), "wakes to a Ready pod", console=console()):
            bare_pod.seconds.append(await bare_scaling(on, "bare-real", has_ready_pod))
            wake_pod.seconds.append(await one_wake(on, "real", has_ready_pod))
        ping = Series("Redis round trip (PING)", await each(on.redis.client().ping))
        add = Series("add() of bullmq in Node, and back", await each(on.node.queue("other").add))
        kubernetes = on.kubernetes_version
    rows = [wake, bare, wake_pod, bare_pod, add, ping]
    times_table(f"Wake from 0 replicas, Kubernetes {kubernetes}", rows)


def has_replicas(deployment: Body) -> bool:
    """Asked for."""
    return bool(deployment["spec"]["replicas"] == 1)


def has_ready_pod(deployment: Body) -> bool:
    """Running."""
    return bool(deployment.get("status", {}).get("readyReplicas") == 1)


async def one_wake(on: Stage, name: str, holds: Holds) -> float:
    """Add one item, wait for what it causes, and go back to 0."""
    await asyncio.sleep(random.uniform(0.0, 1.0))
    queue = on.node.queue(name)
    began = time.time()
    await queue.add()
    took = await seen_at(on, name, holds, began) - began
    await queue.call("drain")
    await back_to_zero(on, name)
    return took


async def bare_scaling(on: Stage, name: str, holds: Holds) -> float:
    """The same without an operator."""
    began = time.time()
    await on.scale(name, 1)
    took = await seen_at(on, name, holds, began) - began
    await on.scale(name, 0)
    await back_to_zero(on, name)
    return took


async def seen_at(on: Stage, name: str, holds: Holds, since: float) -> float:
    """When the watch first told of a Deployment of which this holds."""
    await on.namespace.until("Deployment", name, holds, LIMIT_S)
    history = on.namespace.history("Deployment", name)
    return next(version.at for version in history if version.at >= since and holds(version.body))


async def back_to_zero(on: Stage, name: str) -> None:
    """Wait until replicas and pods are gone."""
    await replicas(on.namespace, name, 0, LIMIT_S)
    await on.namespace.when(lambda: on.pods_of(name) == [], LIMIT_S)


async def each(call: Callable[[], Awaitable[object]]) -> list[float]:
    """Times of the same call, one after the other."""
    seconds = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - began)
    return seconds


def bare_deployment(name: str, template: Body) -> Body:
    """One that no operator looks at."""
    labels = {"app": name}
    pods = {**template, "metadata": {"labels": labels}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pods}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


if __name__ == "__main__":
    main()
