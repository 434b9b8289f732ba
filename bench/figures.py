"""Times, their percentiles, and the tables that show them with the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Series:
    """One row: what was measured, seconds each. ``limit``: the series that nothing could beat."""

    name: str
    seconds: list[float]
    target: str = ""
    limit: Series | None = None

    def percentile(self, percent: float) -> float:
        """By nearest rank: a value that was really measured."""
        ranked = sorted(self.seconds)
        return ranked[max(0, ceil(len(ranked) * percent / 100) - 1)]


def times_table(title: str, rows: list[Series]) -> None:
    """Print times in milliseconds."""
    table = Table(title=title, caption=machine(), caption_justify="left")
    table.add_column("measured")
    for column in ("n", "p50 ms", "p99 ms", "max ms", "p50 / limit's"):
        table.add_column(column, justify="right")
    table.add_column("target")
    for row in rows:
        p50, p99, most = row.percentile(50), row.percentile(99), max(row.seconds)
        ratio = f"{p50 / row.limit.percentile(50):.1f}" if row.limit else ""
        figures = [f"{seconds * 1000:.1f}" for seconds in (p50, p99, most)]
        table.add_row(row.name, str(len(row.seconds)), *figures, ratio, row.target)
    console().print(table)


def console() -> Console:
    """Wide enough for the tables also where the output is a file."""
    found = Console()
    return found if found.is_terminal else Console(width=130)


OPERATOR_PACKAGES = ("kopf", "kubernetes_asyncio", "redis", "aiohttp")


def machine(packages: Sequence[str] = OPERATOR_PACKAGES) -> str:
    """What the figures depend on; other work on the machine counts too, so its load is told."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} CPUs (load {load:.1f}), Linux {platform.release()}, "
        f"Python {platform.python_version()} ({versions}), {_first_line('redis-server', '--version')}, "
        f"Node {_first_line('node', '--version')}"
    )


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return f"no {command[0]}"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:3])
