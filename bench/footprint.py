"""What Bullherd costs while nothing happens: imports, and an idle operator's memory and processor time.

    python -m bench.footprint [--seconds 30]

The limit of the imports is Python's own start. "Idle" has QueueJobs with empty queues: each is still read
every second, and listened to.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time

import psutil
from rich.progress import track
from rich.table import Table

from bench.figures import Series, console, machine, times_table
from bench.stage import Stage, stage
from tests.cluster.queuejobs import condition, queuejob

STARTS = 10
LIMIT_S = 120.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.footprint", description="Memory and CPU of an idle operator."
    )
    parser.add_argument("--seconds", type=int, default=30, help="length of each look (default: %(default)s)")
    options, _ = parser.parse_known_args()
    imports()
    asyncio.run(idle(options.seconds))


def imports() -> None:
    """Whole starts of Python with nothing but an import."""
    python = Series("python -c pass", starts("pass"))
    package = Series("python -c 'import bullherd'", starts("import bullherd"), "", python)
    operator = Series(
        "python -c 'import bullherd.operator'", starts("import bullherd.operator"), limit=python
    )
    times_table("Imports", [package, operator, python])


def starts(statement: str) -> list[float]:
    """Wall-clock seconds of each start; the first one, which fills the caches, does not count."""
    seconds = []
    for _ in range(STARTS + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


async def idle(seconds: int) -> None:
    """Memory and processor of one operator with more and more QueueJobs."""
    table = Table(title="Idle operator", caption=machine(), caption_justify="left")
    for column in ("QueueJobs", "RSS MiB", f"CPU % of one core, over {seconds} s", "CPU ms a second"):
        table.add_column(column, justify="right")
    async with stage() as on:
        process = psutil.Process(on.operator.pid)
        made = 0
        for wanted in (0, 1, 100):
            await with_queuejobs(on, made, wanted)
            made = wanted
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            for _ in track(range(seconds), f"idle with {wanted} QueueJobs", console=console()):
                await asyncio.sleep(1)
            share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
            memory = process.memory_info().rss / 2**20
            table.add_row(str(wanted), f"{memory:.0f}", f"{share * 100:.1f}", f"{share * 1000:.1f}")
    console().print(table)


async def with_queuejobs(on: Stage, made: int, wanted: int) -> None:
    """Have so many of them, all ready."""
    names = [f"idle-{number:03}" for number in range(made, wanted)]
    await asyncio.gather(*(on.namespace.create(queuejob(name)) for name in names))

    def all_ready() -> bool:
        bodies = [on.namespace.current("QueueJob", name) or {} for name in names]
        return all(condition(body).get("status") == "True" for body in bodies)

    await on.namespace.when(all_ready, LIMIT_S)


if __name__ == "__main__":
    main()
