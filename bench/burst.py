"""How long it takes from 200 items to 40 replicas, in how many steps, and until the pods exist.

    python -m bench.burst [--rounds 5]

The limit, measured in turn with it: a bare apply of 40 replicas until the same watch shows them, and until
the cluster has made 40 pods. The pods fit on no node, so that what runs in them does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from itertools import groupby

from rich.progress import track

from bench.figures import Series, console, times_table
from bench.stage import Stage, stage
from bench.wake import back_to_zero, bare_deployment
from tests.cluster.queuejobs import UNSCHEDULABLE, queuejob, ready, replicas

ITEMS, PER_REPLICA, REPLICAS = 200, 5, 40
LIMIT_S = 60.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.burst", description="Time from 200 items to 40 replicas."
    )
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    options, _ = parser.parse_known_args()
    asyncio.run(measure(options.rounds))


async def measure(rounds: int) -> None:
    """All rows of the table."""
    bare = Series(f"bare apply of {REPLICAS} replicas, to the watch", [])
    burst = Series(f"{ITEMS} items added by Node, to {REPLICAS} replicas", [], "<= 1000, one step", bare)
    bare_pods = Series(f"bare apply of {REPLICAS} replicas, to {REPLICAS} pods", [])
    burst_pods = Series(f"{ITEMS} items added by Node, to {REPLICAS} pods", [], limit=bare_pods)
    steps: set[tuple[int, ...]] = set()
    async with stage() as on:
        await on.namespace.create(bare_deployment("bare", UNSCHEDULABLE))
        body = queuejob("burst", concurrency=PER_REPLICA, maxReplicas=100, cooldownSeconds=0)
        await on.namespace.create(body)
        await ready(on.namespace, "burst")
        for _ in track(range(rounds), "bursts", console=console()):
            began = time.time()
            await on.scale("bare", REPLICAS)
            await note(on, "bare", began, bare, bare_pods)
            await on.scale("bare", 0)
            await back_to_zero(on, "bare")

            queue = on.node.queue("burst")
            began = time.time()
            await queue.add_bulk(range(ITEMS))
            steps.add(await note(on, "burst", began, burst, burst_pods))
            await queue.call("drain")
            await back_to_zero(on, "burst")
        kubernetes = on.kubernetes_version
    times_table(f"Burst from 0 replicas, Kubernetes {kubernetes}", [burst, bare, burst_pods, bare_pods])
    console().print(f"Replicas, step by step, in all {rounds} rounds: {sorted(steps)}")


async def note(on: Stage, name: str, began: float, to_replicas: Series, to_pods: Series) -> tuple[int, ...]:
    """Take both times; the replicas on the way, each different number once."""
    await replicas(on.namespace, name, REPLICAS, LIMIT_S)
    history = [version for version in on.namespace.history("Deployment", name) if version.at >= began]
    asked = [(version.body["spec"]["replicas"], version.at) for version in history]
    to_replicas.seconds.append(next(at for number, at in asked if number == REPLICAS) - began)
    await on.namespace.when(lambda: len(on.pods_of(name)) == REPLICAS, LIMIT_S)
    to_pods.seconds.append(time.time() - began)
    return tuple(number for number, _ in groupby(number for number, _ in asked))


if __name__ == "__main__":
    main()
