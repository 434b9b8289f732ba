"""Job kinds of the tests, loaded by worker processes."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Literal

from pydantic import BaseModel, Field

from bullherd_worker import JobContext, PlainJobContext, UnrecoverableError, job


@job("noop")
async def noop(data: Any, context: JobContext) -> None:
    """Nothing."""


@job("say")
async def say(data: Any, context: JobContext) -> Any:
    """Returns what it got and who it is."""
    return {
        "data": data,
        "id": context.id,
        "name": context.name,
        "attempt": context.attempt,
        "queue": context.queue,
    }


@job("sleep")
async def sleep(data: dict[str, float], context: JobContext) -> str:
    """Leaves a line in the item's log when it begins and when it ends."""
    await context.log("begin")
    await asyncio.sleep(data["seconds"])
    await context.log("end")
    return "slept"


@job("fail")
async def fail(data: dict[str, Any], context: JobContext) -> str:
    """Fails the first ``times`` attempts, for good if ``forGood`` says so."""
    if context.attempt <= data["times"]:
        raise (UnrecoverableError if data.get("forGood") else ValueError)(data.get("reason", "as told"))
    return f"done at attempt {context.attempt}"


class Order(BaseModel):
    kind: Literal["small", "large"]
    count: int = Field(ge=1)


class Receipt(BaseModel):
    total: int = Field(alias="totalCount")


@job("order", data=Order, result=Receipt)
async def order(data: Order, context: JobContext) -> Any:
    """Typed at both ends; a count of 13 gives a result that does not fit."""
    return Receipt(totalCount=data.count * 2) if data.count != 13 else {"wrong": True}


@job("brief", timeout=0.3)
async def brief(data: dict[str, float], context: JobContext) -> str:
    """Has 0.3 s."""
    await asyncio.sleep(data["seconds"])
    return "in time"


@job("plain", timeout=0.5)
def plain(data: dict[str, Any], context: PlainJobContext) -> Any:
    """A plain function in a thread: blocks, and notices its cancellation if told to."""
    context.log("begin")
    context.progress(50)
    end = time.monotonic() + data.get("seconds", 0)
    while time.monotonic() < end:
        if data.get("polite") and context.cancelled:
            return "stopped early"
        time.sleep(0.01)
    return {"data": data}


@job("stubborn")
async def stubborn(data: dict[str, float], context: JobContext) -> str:
    """Goes on when it is cancelled."""
    end = time.monotonic() + data["seconds"]
    await context.log("begin")
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await context.log("cancelled, goes on")
    return "went on"


@job("exits")
async def exits(data: dict[str, Any], context: JobContext) -> None:
    """Ends as no handler should."""
    if data["how"] == "exit":
        raise SystemExit(3)
    raise asyncio.CancelledError("from inside")


@job("blocks")
async def blocks(data: dict[str, float], context: JobContext) -> str:
    """Blocks the whole event loop, as no handler should."""
    await context.log("begin")
    time.sleep(data["seconds"])  # noqa: ASYNC251 # the point
    return "blocked"


@job("warns")
async def warns(data: Any, context: JobContext) -> None:
    """Logs as libraries do."""
    logging.getLogger("some.library").warning("low on %s", "ink")
