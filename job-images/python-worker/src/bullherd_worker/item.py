"""A BullMQ job as the worker sees it: the fields of its hash, parsed once.

Anything may stand in Redis: names with spaces, bytes that are no UTF-8, options that are no JSON. Reading an
item never raises; what cannot be read gets the value that BullMQ would take by default.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """The options that the worker acts on; ``raw`` has all of them."""

    raw: dict[str, Any]
    attempts: float
    backoff: Any
    lifo: bool
    keep_completed: dict[str, Any]
    keep_failed: dict[str, Any]
    keep_logs: int | None
    stack_limit: int | None
    parent_flags: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Item:
    """One item, just claimed."""

    raw_id: bytes
    id: str
    name: str
    data: bytes
    options: ItemOptions
    attempts_made: int
    stacktrace: bytes
    #: Set by the stalled check or a failed child: fail with this reason, do not run.
    deferred_failure: str | None
    #: The job scheduler that made this item and must be advanced before it runs.
    scheduler_id: bytes | None
    #: When it was meant to run: its creation and its own delay. None if Redis does not say.
    due: datetime | None


def parse_item(raw_id: bytes, fields: Sequence[bytes]) -> Item:
    """The item from what HGETALL returned inside a script."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    deferred = values.get(b"defa")
    options = parse_options(values.get(b"opts", b"{}"))
    return Item(
        raw_id=raw_id,
        id=raw_id.decode(errors="replace"),
        name=values.get(b"name", b"").decode(errors="replace"),
        data=values.get(b"data", b"{}"),
        options=options,
        attempts_made=_integer(values.get(b"atm") or values.get(b"attemptsMade")),
        stacktrace=values.get(b"stacktrace", b"[]"),
        deferred_failure=None if deferred is None else deferred.decode(errors="replace"),
        scheduler_id=values.get(b"rjk") or None,
        due=_due(_integer(values.get(b"timestamp")), _number(options.raw.get("delay"))),
    )


@lru_cache(maxsize=256)
def parse_options(raw: bytes) -> ItemOptions:
    """Options from their JSON. Items of one queue mostly share a text, hence the cache: do not change what it
    returns.
    """
    try:
        options = json.loads(raw)
    except ValueError:
        options = {}
    if not isinstance(options, dict):
        options = {}
    return ItemOptions(
        raw=options,
        attempts=_number(options.get("attempts")),
        backoff=options.get("backoff"),
        lifo=bool(options.get("lifo")),
        keep_completed=keep_jobs(options.get("removeOnComplete")),
        keep_failed=keep_jobs(options.get("removeOnFail")),
        keep_logs=_whole(options.get("kl", options.get("keepLogs"))),
        stack_limit=_whole(options.get("stackTraceLimit")),
        parent_flags={
            short: bool(options.get(short, options.get(long)))
            for short, long in (
                ("fpof", "failParentOnFailure"),
                ("cpof", "continueParentOnFailure"),
                ("idof", "ignoreDependencyOnFailure"),
                ("rdof", "removeDependencyOnFailure"),
            )
        },
    )


def keep_jobs(remove: Any) -> dict[str, Any]:
    """``removeOnComplete`` or ``removeOnFail`` as the scripts want it: how many finished items to keep (-1:
    all).
    """
    if isinstance(remove, dict):
        return remove
    if isinstance(remove, bool) or not isinstance(remove, int | float):
        return {"count": 0 if remove else -1}
    return {"count": int(remove)}


def _due(created_ms: int, delay_ms: float) -> datetime | None:
    try:
        return datetime.fromtimestamp((created_ms + delay_ms) / 1000, UTC) if created_ms > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _integer(raw: bytes | None) -> int:
    try:
        return int(raw or 0)
    except ValueError:
        return 0


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
