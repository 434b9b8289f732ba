"""How an attempt ended, and how a failure is written down."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass

from bullherd_worker.errors import JobError, UnrecoverableError


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; its result as JSON."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, or could not be run."""

    reason: str
    trace: str
    error_type: str
    #: Where it was raised, for the log: file, line and function, and nothing of the item.
    where: str
    #: The message, when it was written for people; see errors.JobError.
    public_reason: str | None
    recoverable: bool


Outcome = Completed | Failed


def failure(error: BaseException) -> Failed:
    """``error`` as an outcome."""
    reason = str(error) or type(error).__name__
    return Failed(
        reason=reason,
        trace="".join(traceback.format_exception(error)).rstrip(),
        error_type=type(error).__name__,
        where=_where(error),
        public_reason=reason if isinstance(error, JobError) else None,
        recoverable=not isinstance(error, UnrecoverableError),
    )


def add_trace(stacktrace: bytes, trace: str, limit: int | None) -> bytes:
    """The item's ``stacktrace`` field, one more entry at its end; ``limit`` is the option stackTraceLimit, 0
    for none.
    """
    try:
        traces = json.loads(stacktrace)
    except ValueError:
        traces = []
    if not isinstance(traces, list):
        traces = []
    traces.append(trace)
    if limit is not None:
        traces = traces[-limit:] if limit > 0 else []
    return json.dumps(traces).encode()


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
