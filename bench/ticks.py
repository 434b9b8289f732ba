"""What reading and deciding costs with 5,000 queues: Redis and the pure part alone, no cluster.

    python -m bench.ticks [--queues 5000] [--rounds 20] [--seconds 20] [--wakes 30]

A tick in the worst case reads every queue and decides about all of them. Usually most are asleep: then a
server watch reads those that rest now and then, and hears of items by their events. The limit: a bare
pipeline that asks for one length per queue; and, for a hint, a bare XREAD that waits for one stream.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from redis.asyncio import Redis
from rich.progress import track
from rich.table import Table

from bench.figures import Series, console, machine, times_table
from bullherd.bullmq.connection import connect
from bullherd.bullmq.snapshots import QueueReader
from bullherd.controllers.server_watch import ServerWatch, WatchIntervals
from bullherd.core.observed import Observed
from bullherd.core.reconcile import decide
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics
from tests.fixtures.redis import RedisServer
from tests.unit.builders import PREFIX, connection, deployment, job

SETTLE_S = 15.0
"""Longer than a watch takes to trust what it hears."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ticks", description="Cost of reading many queues and deciding about them."
    )
    parser.add_argument("--queues", type=int, default=5000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="ticks that read all (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="look at rest (default: %(default)s)")
    parser.add_argument("--wakes", type=int, default=30, help="hints to readings (default: %(default)s)")
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="bullherd-bench-") as folder:
        server = RedisServer(Path(folder), options=("--appendonly", "no"))
        server.start()
        asyncio.run(measure(server, options.queues, options.rounds, options.seconds, options.wakes))


async def measure(server: RedisServer, count: int, rounds: int, seconds: int, wakes: int) -> None:
    """Both tables."""
    queues = [QueueKey("bull", f"queue-{number:05}") for number in range(count)]
    try:
        await open_queues(server.client(), queues)
        await whole_ticks(server, queues, rounds)
        await at_rest(server, queues, seconds, wakes)
    finally:
        await server.close()


async def open_queues(client: Redis, queues: Sequence[QueueKey]) -> None:
    """Leave what a web app leaves that has opened these queues and has worked in them."""
    async with client.pipeline(transaction=False) as pipeline:
        for queue in queues:
            meta = {"opts.maxLenEvents": 10_000, "version": "bullmq:6.7.0"}
            pipeline.hset(f"{queue.key_prefix}meta", mapping=meta)
            pipeline.xadd(f"{queue.key_prefix}events", {"event": "drained"})
            pipeline.zadd(f"{queue.key_prefix}completed", {"1": 1})
        await pipeline.execute()


async def whole_ticks(server: RedisServer, queues: Sequence[QueueKey], rounds: int) -> None:
    """Everything is read, and all of it is decided about."""
    bare = Series("bare pipeline, one LLEN for each", [])
    read = Series("all of them read", [], limit=bare)
    whole = Series("all of them read, and decided about", [], "<= 1000", bare)
    client = connect(server.endpoint)
    reader = QueueReader(server.endpoint, client)
    jobs = [job(queue.name, queue=queue.name) for queue in queues]
    workers, redis = [deployment(one) for one in jobs], connection()
    for _ in track(range(rounds), "whole ticks", console=console()):
        bare.seconds.append(await timed(lambda: bare_lengths(client, queues)))
        began = time.perf_counter()
        answers = await reader.snapshots(queues, time.time())
        read.seconds.append(time.perf_counter() - began)
        for one, live, answer in zip(jobs, workers, answers.values(), strict=True):
            assert isinstance(answer, QueueSnapshot)
            decide(Observed(one, redis, snapshot=answer, deployment=live), PREFIX, answer.taken_at)
        whole.seconds.append(time.perf_counter() - began)
    await client.aclose()
    times_table(f"One tick over {len(queues)} queues that all have workers", [whole, read, bare])


async def bare_lengths(client: Redis, queues: Sequence[QueueKey]) -> None:
    """The least that tells whether anything waits."""
    async with client.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.llen(f"{queue.key_prefix}wait")
        await pipeline.execute()


async def at_rest(server: RedisServer, queues: Sequence[QueueKey], seconds: int, wakes: int) -> None:
    """All are asleep and empty; then some of them get an item, one after the other."""
    bare = Series("event of a bare stream, to its XREAD", [])
    hint = Series("event of one of them, to its reading", [], limit=bare)
    client, process = server.client(), psutil.Process()
    async with watching(server, queues) as (watch, changes):
        await asyncio.sleep(SETTLE_S)
        before, began = await used(client, process), time.monotonic()
        for _ in track(range(seconds), "at rest", console=console()):
            await asyncio.sleep(1)
        after, took = await used(client, process), time.monotonic() - began
        connections = len(await client.client_list()) - 1
        for _ in track(range(wakes), "hints", console=console()):
            queue = random.choice(queues)
            await asyncio.sleep(random.uniform(0.2, 1.0))
            bare.seconds.append(await heard_bare(client))
            changes.clear()
            hint.seconds.append(await timed(lambda queue=queue: item_read(client, watch, queue, changes)))
            await client.delete(f"{queue.key_prefix}wait")
            await client.xadd(f"{queue.key_prefix}events", {"event": "drained"})
    table = Table(title=f"{len(queues)} queues at rest, over {seconds} s", caption=machine())
    for column in ("this process, cores", "its memory, MiB", "Redis server, cores", "connections"):
        table.add_column(column, justify="right")
    cores = [f"{(late - early) / took:.3f}" for early, late in zip(before, after, strict=True)]
    memory = process.memory_info().rss / 2**20
    table.add_row(cores[0], f"{memory:.0f}", cores[1], str(connections))
    console().print(table)
    times_table(f"An item in one of {len(queues)} sleeping queues", [hint, bare])


@asynccontextmanager
async def watching(
    server: RedisServer, queues: Sequence[QueueKey]
) -> AsyncIterator[tuple[ServerWatch, asyncio.Event]]:
    """An operator's watch of these queues, all asleep; the event is set at each change of a reading."""
    changes = asyncio.Event()
    intervals = WatchIntervals(tick=1.0, stalled_check=30.0)
    watch = ServerWatch(server.endpoint, lambda _: changes.set(), intervals, Health(), OperatorMetrics())
    for queue in queues:
        watch.add(queue)
        watch.set_asleep(queue, asleep=True)
    running = asyncio.create_task(watch.run())
    try:
        yield watch, changes
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def item_read(client: Redis, watch: ServerWatch, queue: QueueKey, changes: asyncio.Event) -> None:
    """Add what BullMQ's add writes, and wait until the watch has read it."""
    await client.rpush(f"{queue.key_prefix}wait", "1")
    await client.xadd(f"{queue.key_prefix}events", {"event": "waiting"})
    while not ((snapshot := watch.reading(queue).snapshot) and snapshot.waiting):
        await changes.wait()
        changes.clear()


async def heard_bare(client: Redis) -> float:
    """Seconds from an event to the end of an XREAD that waits for it."""
    waiting = asyncio.create_task(client.xread({"bare": "$"}, block=10_000))
    await asyncio.sleep(0.01)

    async def heard() -> None:
        await client.xadd("bare", {"event": "waiting"})
        await waiting

    return await timed(heard)


async def used(client: Redis, process: psutil.Process) -> tuple[float, float]:
    """Processor seconds so far, of this process and of Redis."""
    cpu = await client.info("cpu")
    return sum(process.cpu_times()[:2]), cpu["used_cpu_user"] + cpu["used_cpu_sys"]


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
