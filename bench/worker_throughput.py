"""How many no-op items a second a worker works off: ours, the official Python Worker, and Node's.

Run it from the project's root: ``python -m bench.worker_throughput``. Every worker is a process of its own on
a private redis-server, one after the other, several rounds; the table shows each one's best round and its
ratio to the official Python Worker. Each starts on a paused queue, which is then filled and resumed; time
runs from the first item that is claimed to the last that is done. Needs redis-server, Node 20 and the npm
packages of tests/node/v6.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis
from rich.table import Table

from bench.figures import console, machine
from tests.fixtures.redis import RedisServer

HERE = Path(__file__).parent
NODE_PACKAGES = HERE.parent / "tests" / "node" / "v6"
NODE_SCRIPT = str(HERE / "worker_noop_node.cjs")
LIMIT_S = 60.0


@dataclass
class Contestant:
    """One worker implementation and its results."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def contestants(queue: str, concurrency: int) -> list[Contestant]:
    """The field."""
    python = sys.executable
    ours = {
        "QUEUE_NAME": queue,
        "JOB_KIND": "noop",
        "QUEUE_CONCURRENCY": str(concurrency),
        "WORKER_HTTP_PORT": "0",
    }
    command = [python, "-m", "bullherd_worker.cli", "bench.worker_kinds"]
    return [
        Contestant(
            "official Python Worker", [python, "-m", "bench.worker_official", queue, str(concurrency)]
        ),
        Contestant("bullherd-worker", command, ours | {"WORKER_LOG_LEVEL": "warning"}),
        Contestant("bullherd-worker, all logs on", command, ours | {"WORKER_LOG_FORMAT": "json"}),
        Contestant("Node Worker", ["node", NODE_SCRIPT, str(NODE_PACKAGES), "work", queue, str(concurrency)]),
    ]


def fill(port: int, queue: str, items: int) -> None:
    """Add the items, as a web app does."""
    subprocess.run(
        ["node", NODE_SCRIPT, str(NODE_PACKAGES), "fill", queue, str(items)],
        env=os.environ | {"REDIS_PORT": str(port)},
        check=True,
    )


def run_once(contestant: Contestant, client: redis.Redis, port: int, queue: str, items: int) -> None:
    """One round: a worker that idles, a full queue that is resumed, until all is done."""
    client.flushall()
    client.hset(f"bull:{queue}:meta", "paused", 1)
    with subprocess.Popen(
        contestant.command,
        env=os.environ | {"REDIS_PORT": str(port)} | contestant.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=HERE.parent,
    ) as process:
        try:
            wait_for(lambda: is_idle(client), process, contestant.name)
            fill(port, queue, items)
            # The event stream is the clock: it must hold every event of the round.
            client.hset(f"bull:{queue}:meta", "opts.maxLenEvents", 100 * items)
            cpu_before = cpu_seconds(process.pid)
            with client.pipeline() as resume:
                resume.hdel(f"bull:{queue}:meta", "paused").zadd(f"bull:{queue}:marker", {"0": 0}).execute()
            wait_for(lambda: client.zcard(f"bull:{queue}:completed") == items, process, contestant.name)
            contestant.cpu_ms.append((cpu_seconds(process.pid) - cpu_before) / items * 1000)
        finally:
            process.kill()
    contestant.rates.append(items / elapsed_seconds(client, queue))


def is_idle(client: redis.Redis) -> bool:
    """Whether a worker blocks for markers."""
    return any(one["cmd"] == "bzpopmin" for one in client.client_list())


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], name: str) -> None:
    """Until ``condition`` holds; it is looked at seldom enough not to disturb the measurement."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > limit or process.poll() is not None:
            raise SystemExit(f"{name} did not finish within {LIMIT_S:.0f} s")
        time.sleep(0.05)


def elapsed_seconds(client: redis.Redis, queue: str) -> float:
    """From the first claim to the last completion, by Redis's own event stream (ids are its clock, in ms)."""
    events = client.xrange(f"bull:{queue}:events")
    claimed = [int(one.split("-")[0]) for one, fields in events if fields["event"] == "active"]
    done = [int(one.split("-")[0]) for one, fields in events if fields["event"] == "completed"]
    return max(max(done) - min(claimed), 1) / 1000


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options, _ = parser.parse_known_args()
    queue = "bench"
    field_ = contestants(queue, options.concurrency)
    with tempfile.TemporaryDirectory() as folder:
        # Nothing is written to disk: the workers are measured, not the disk.
        server = RedisServer(Path(folder), options=("--appendonly", "no"))
        server.start()
        try:
            client = redis.Redis(port=server.port, decode_responses=True)
            for _ in range(options.rounds):
                for contestant in field_:
                    run_once(contestant, client, server.port, queue, options.items)
        finally:
            server.kill()
    show(field_, options)


def show(field_: list[Contestant], options: argparse.Namespace) -> None:
    """The table."""
    base = max(field_[0].rates)
    table = Table(
        title=f"Worker throughput: {options.items} no-op items, concurrency {options.concurrency}",
        caption=machine(("bullmq", "redis", "hiredis")),
        caption_justify="left",
    )
    for column in ("worker", "items/s (best)", "all rounds", "CPU ms/item", "x official"):
        table.add_column(column, justify="left" if column == "worker" else "right")
    for one in field_:
        rounds = " ".join(f"{rate:.0f}" for rate in one.rates)
        best = max(one.rates)
        table.add_row(one.name, f"{best:.0f}", rounds, f"{min(one.cpu_ms):.3f}", f"{best / base:.2f}")
    console().print(table)


if __name__ == "__main__":
    main()
