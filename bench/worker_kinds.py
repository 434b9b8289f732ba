"""The job kind of bench/worker_throughput.py."""

from __future__ import annotations

from typing import Any

from bullherd_worker import JobContext, job


@job("noop")
async def noop(data: Any, context: JobContext) -> None:
    """Nothing."""
