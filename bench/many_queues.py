"""What 1,000 QueueJobs on one operator and one Redis cost: to apply, at rest, and how fast any of them wakes.

    python -m bench.many_queues [--engine HPA] [--queues 1000] [--seconds 60] [--wakes 30] [--bursts 5]

The limit of the apply: a bare client that makes the same QueueJobs, Deployments and HPAs and writes each
status once, as many at a time as the operator does, with nothing to decide; of a wake, a bare apply of
replicas. Both are measured in the same run. "Managed" is a QueueJob that a watch shows Ready, with all that
is made for it. At rest, the queues are empty and their workers asleep.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil
from redis.asyncio import Redis
from rich.progress import track
from rich.table import Table

from bench.figures import Series, console, machine, times_table
from bench.stage import Stage, stage
from bench.wake import bare_deployment, bare_scaling, has_replicas, one_wake, seen_at
from bullherd.api import QueueJob
from bullherd.core.autoscaler import autoscaler_manifest
from dev.paths import this_checkout
from tests.cluster.queuejobs import UNSCHEDULABLE, condition, queuejob, replicas
from tests.fixtures.kubernetes import Api, ApiRefused, Namespace, open_namespace
from tests.fixtures.process import BullherdProcess

AT_ONCE = 16
BURST = 50
APPLY_LIMIT_S = 300.0
LOOK_S = 0.1
QUIET_S = 0.02
"""Seconds of processor time in a second: an operator that uses less has caught up."""
QUIET_LIMIT_S = 120
GONE_LIMIT_S = 600


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.many_queues", description="Cost and speed with many QueueJobs."
    )
    parser.add_argument("--engine", choices=("HPA", "Direct"), default="HPA", help="(default: %(default)s)")
    parser.add_argument("--queues", type=int, default=1000, help="QueueJobs (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="look at rest (default: %(default)s)")
    parser.add_argument("--wakes", type=int, default=30, help="one after the other (default: %(default)s)")
    parser.add_argument("--bursts", type=int, default=5, help=f"{BURST} wakes at once (default: %(default)s)")
    options, _ = parser.parse_known_args()
    asyncio.run(measure(options.engine, options.queues, options.seconds, options.wakes, options.bursts))


@dataclass(frozen=True)
class Usage:
    """Of one process, over a while."""

    cores: float
    memory_mib: float
    connections: int
    reads_per_second: float


async def measure(engine: str, queues: int, seconds: int, wakes: int, bursts: int) -> None:
    """Both tables."""
    names = [f"many-{number:04}" for number in range(queues)]
    kubeconfig = this_checkout().kubeconfig
    async with (
        stage(external_metrics=engine == "HPA") as on,
        open_namespace(kubeconfig, "bullherd-bare") as bare,
    ):
        made = on.namespace.name, bare.name
        await open_queues(on.redis.client(), names)
        limit = await all_managed(bare, engine, names, lambda: apply_bare(bare, engine, names))
        await settled(bare, names)
        took = await all_managed(on.namespace, engine, names, lambda: apply(on.namespace, engine, names))
        await settled(on.namespace, names)
        await caught_up(on.operator)
        table = Table(
            title=f"{queues} QueueJobs, engine {engine}, Kubernetes {on.kubernetes_version}",
            caption=machine(),
            caption_justify="left",
        )
        for column in ("measured", "figure", "bare client", "target"):
            table.add_column(column, justify="left" if column == "measured" else "right")
        table.add_row("all applied until all managed, s", f"{took:.1f}", f"{limit:.1f}", "<= 40")
        await at_rest(on, table, seconds)
        console().print(table)
        await wake_times(on, names, wakes, bursts)
    await gone(kubeconfig, made)


async def open_queues(client: Redis, names: Iterable[str]) -> None:
    """Leave in Redis what a web app leaves that has opened these queues and has worked in them."""
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            meta = {"opts.maxLenEvents": 10_000, "version": "bullmq:6.7.0"}
            pipeline.hset(f"bull:{name}:meta", mapping=meta)
            pipeline.xadd(f"bull:{name}:events", {"event": "drained"})
            pipeline.zadd(f"bull:{name}:completed", {"1": 1})
        await pipeline.execute()


async def each_of(names: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
    """Some at a time."""
    left = iter(names)

    async def take() -> None:
        for name in left:
            await work(name)

    await asyncio.gather(*(take() for _ in range(AT_ONCE)))


async def apply(namespace: Namespace, engine: str, names: Iterable[str]) -> None:
    """The QueueJobs; their workers sleep again as soon as there is nothing to do."""
    await each_of(names, lambda name: namespace.create(queuejob(name, engine=engine, cooldownSeconds=0)))


async def apply_bare(namespace: Namespace, engine: str, names: Iterable[str]) -> None:
    """All that stands in the cluster in the end, from a client that need not look at anything."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "reason": "Scaling", "lastTransitionTime": moment}
    status = {"backlog": 0, "conditions": [ready | {"message": "Made by a bare client."}]}

    async def make(name: str) -> None:
        made = await namespace.create(queuejob(name, engine=engine))
        await namespace.create(bare_deployment(name, UNSCHEDULABLE))
        if engine == "HPA":
            await namespace.create(autoscaler_manifest(QueueJob.parse(made), 1, 10))
        await namespace.patch("QueueJob", name, {"status": status}, "status")

    await each_of(names, make)


async def all_managed(
    namespace: Namespace, engine: str, names: Sequence[str], applied: Callable[[], Awaitable[None]]
) -> float:
    """Seconds from the first request until the watches have shown the last of them managed."""
    began = time.time()
    await applied()
    await until_all(names, lambda name: managed_at(namespace, engine, name) is not None)
    return max(managed_at(namespace, engine, name) or 0.0 for name in names) - began


def managed_at(namespace: Namespace, engine: str, name: str) -> float | None:
    """When a QueueJob was first seen Ready and all of it was there; None before that."""
    seen = namespace.history("QueueJob", name)
    ready = [one.at for one in seen if condition(one.body).get("status") == "True"][:1]
    made = [one.at for one in namespace.history("Deployment", name)[:1]]
    scaled = [one.at for one in namespace.history("HorizontalPodAutoscaler", name)[:1]]
    return max(*ready, *made, *scaled) if ready and made and (scaled or engine != "HPA") else None


async def until_all(names: Iterable[str], holds: Callable[[str], bool]) -> None:
    """Look again and again at those of which it did not hold yet: a condition that is asked for at each event
    of a thousand objects would cost more than what is measured.
    """
    left, until = list(names), time.monotonic() + APPLY_LIMIT_S
    while left := [name for name in left if not holds(name)]:
        if time.monotonic() > until:
            raise SystemExit(
                f"{len(left)} of them, such as {left[0]}, were not there in {APPLY_LIMIT_S:g} s."
            )
        await asyncio.sleep(LOOK_S)


async def settled(namespace: Namespace, names: Iterable[str]) -> None:
    """Wait until the cluster's own controllers have seen all Deployments."""

    def seen(name: str) -> bool:
        body = namespace.current("Deployment", name)
        generation = body["metadata"]["generation"] if body else 0
        return bool(body) and body.get("status", {}).get("observedGeneration") == generation

    await until_all(names, seen)


async def caught_up(operator: BullherdProcess) -> None:
    """Wait until the operator has nothing left to do, as its use of the processor tells."""
    process = psutil.Process(operator.pid)
    for _ in range(QUIET_LIMIT_S):
        before = processor_seconds(process)
        await asyncio.sleep(1)
        if processor_seconds(process) - before < QUIET_S:
            return


async def at_rest(on: Stage, table: Table, seconds: int) -> None:
    """Look for a while at all that reads Redis, and at Redis."""
    began, before = time.monotonic(), await redis_seconds(on.redis.client())
    watches = [asyncio.create_task(usage(on, on.operator, seconds))]
    if on.server is not None:
        watches.append(asyncio.create_task(usage(on, on.server, seconds)))
    for _ in track(range(seconds), "at rest", console=console()):
        await asyncio.sleep(1)
    operator, *server = await asyncio.gather(*watches)
    redis = (await redis_seconds(on.redis.client()) - before) / (time.monotonic() - began)
    table.add_row("operator at rest, cores", f"{operator.cores:.3f}", "", "<= 0.10")
    table.add_row("its memory, MiB", f"{operator.memory_mib:.0f}", "", "<= 200")
    table.add_row("its connections to Redis", f"{operator.connections}", "", "<= 4")
    table.add_row(
        "its round trips to Redis a second (a tick)", f"{operator.reads_per_second:.2f}", "", "<= 2"
    )
    for one in server:
        table.add_row("server of external metrics, cores", f"{one.cores:.3f}", "", "")
        table.add_row("its memory, MiB", f"{one.memory_mib:.0f}", "", "")
        table.add_row("its connections to Redis", f"{one.connections}", "", "")
    table.add_row("Redis server, cores", f"{redis:.3f}", "", "<= 0.05")


async def usage(on: Stage, process: BullherdProcess, seconds: int) -> Usage:
    """Of one of our processes. To tell its reads costs it some, which does not count."""
    known = psutil.Process(process.pid)
    reads, began = await reads_of(process), time.monotonic()
    used = processor_seconds(known)
    await asyncio.sleep(seconds)
    took, used = time.monotonic() - began, processor_seconds(known) - used
    connections = [one for one in known.net_connections() if one.raddr and one.raddr.port == on.redis.port]
    return Usage(
        cores=used / took,
        memory_mib=known.memory_info().rss / 2**20,
        connections=len(connections),
        reads_per_second=(await reads_of(process) - reads) / took,
    )


async def reads_of(process: BullherdProcess) -> float:
    """How often it has read Redis so far."""
    return sum((await process.metrics("bullherd_redis_read_seconds_count")).values())


async def redis_seconds(client: Redis) -> float:
    """Processor seconds of the Redis server so far."""
    cpu = await client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def processor_seconds(process: psutil.Process) -> float:
    """User and system."""
    return float(sum(process.cpu_times()[:2]))


async def wake_times(on: Stage, names: Sequence[str], wakes: int, bursts: int) -> None:
    """Wakes of any of the queues, one after the other and many at once; the table of it."""
    bares = [f"bare-{number:02}" for number in range(BURST)]
    for name in bares:
        await on.namespace.create(bare_deployment(name, UNSCHEDULABLE))
    bare = Series("bare apply of replicas, to the watch", [])
    wake = Series("item added by Node, to replicas >= 1", [], "p50 <= 150", bare)
    for name in track(random.sample(names, min(wakes, len(names))), "wakes", console=console()):
        bare.seconds.append(await bare_scaling(on, bares[0], has_replicas))
        wake.seconds.append(await one_wake(on, name, has_replicas))
    bare_burst = Series(f"{BURST} bare applies at once, each to the watch", [])
    burst = Series(f"{BURST} queues get an item at once, each to replicas", [], "max <= 1000", bare_burst)
    for _ in track(range(bursts), f"bursts of {BURST}", console=console()):
        scalings = (bare_scaling(on, name, has_replicas) for name in bares)
        bare_burst.seconds.extend(await asyncio.gather(*scalings))
        burst.seconds.extend(await one_burst(on, random.sample(names, BURST)))
    times_table(f"Wakes from 0 replicas with {len(names)} QueueJobs", [wake, bare, burst, bare_burst])


async def one_burst(on: Stage, names: Sequence[str]) -> list[float]:
    """An item for each of these queues in the same moment; how long each took."""
    queues = [on.node.queue(name) for name in names]
    await asyncio.gather(*(queue.counts() for queue in queues))  # connects
    began = time.time()
    await asyncio.gather(*(queue.add() for queue in queues))
    seen = await asyncio.gather(*(seen_at(on, name, has_replicas, began) for name in names))
    await asyncio.gather(*(queue.call("drain") for queue in queues))
    await asyncio.gather(*(replicas(on.namespace, name, 0, APPLY_LIMIT_S) for name in names))
    return [at - began for at in seen]


async def gone(kubeconfig: Path, namespaces: Iterable[str]) -> None:
    """Wait until the cluster has deleted all of it: thousands of deletions would disturb what comes next."""
    api = await Api.connect(kubeconfig)
    try:
        for _ in track(range(GONE_LIMIT_S), "until all is deleted", console=console()):
            if not any([await exists(api, namespace) for namespace in namespaces]):
                break
            await asyncio.sleep(1)
    finally:
        await api.close()


async def exists(api: Api, namespace: str) -> bool:
    """Whether there is still something of a namespace."""
    try:
        await api.request("GET", f"/api/v1/namespaces/{namespace}")
    except ApiRefused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


if __name__ == "__main__":
    main()
