"""``echo``: does what its data say, for examples and tests.

Start it with ``JOB_KIND=echo bullherd-worker bullherd_worker.kinds.echo``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bullherd_worker import JobContext, JobError, UnrecoverableError, job

STEPS = 10


class EchoRequest(BaseModel):
    """What to do, in this order: log, report progress while sleeping, fail or return."""

    model_config = ConfigDict(populate_by_name=True)

    sleep: float = Field(0, ge=0, le=86_400, description="Seconds to take, with progress in ten steps.")
    log: list[str] = Field(default_factory=list, description="Lines for the item's log.")
    fail_times: int = Field(0, ge=0, alias="failTimes", description="Fail the first so many attempts.")
    fail_for_good: str | None = Field(
        None, alias="failForGood", description="Fail with this reason, never to be retried."
    )
    value: Any = Field(None, alias="return", description="What to return; without it, the attempt's number.")


@job("echo", data=EchoRequest)
async def echo(data: EchoRequest, context: JobContext) -> Any:
    """Do what ``data`` say."""
    for line in data.log:
        await context.log(line)
    if data.sleep:
        for step in range(1, STEPS + 1):
            await asyncio.sleep(data.sleep / STEPS)
            await context.progress(step * 100 // STEPS)
    if data.fail_for_good is not None:
        raise UnrecoverableError(data.fail_for_good)
    if context.attempt <= data.fail_times:
        raise JobError(f"Attempt {context.attempt} fails, as the item asks")
    return {"attempt": context.attempt} if data.value is None else data.value
