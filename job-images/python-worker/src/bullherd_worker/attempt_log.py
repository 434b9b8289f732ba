"""The log events of an attempt. They name the item, never its data; private error messages stay in Redis."""

from __future__ import annotations

import time
from typing import Any

import structlog

from bullherd_worker import retry
from bullherd_worker.outcome import Failed, Outcome
from bullherd_worker.running import Running


class AttemptLog:
    """``<kind>_job_start``, ``_complete``, ``_error`` about the handler; ``worker_job_…`` about what Redis
    was told.
    """

    def __init__(self, event: str, log: structlog.typing.FilteringBoundLogger) -> None:
        self._start, self._complete, self._error = (
            f"{event}_job_start",
            f"{event}_job_complete",
            f"{event}_job_error",
        )
        self._log = log

    def start(self, run: Running) -> None:
        """The handler begins."""
        self._log.info(self._start, jobId=run.item.id, attempt=run.context.attempt)

    def handled(self, run: Running, outcome: Outcome) -> None:
        """The handler ended."""
        seconds = round(time.monotonic() - run.started, 3)
        if isinstance(outcome, Failed):
            self._log.error(
                self._error,
                jobId=run.item.id,
                attempt=run.context.attempt,
                seconds=seconds,
                error=outcome.error_type,
                where=outcome.where,
                **_public(outcome),
            )
        else:
            self._log.info(self._complete, jobId=run.item.id, attempt=run.context.attempt, seconds=seconds)

    def completed(self, run: Running) -> None:
        """Redis has the result."""
        self._log.info("worker_job_completed", jobId=run.item.id)

    def failed(self, run: Running, outcome: Failed, decision: retry.Decision) -> None:
        """Redis knows of the failure."""
        self._log.warning(
            "worker_job_failed",
            jobId=run.item.id,
            attempt=run.context.attempt,
            final=isinstance(decision, retry.FailForGood),
            retryInMs=decision.delay_ms if isinstance(decision, retry.RetryLater) else None,
            error=outcome.error_type,
            **_public(outcome),
        )

    def lost(self, run: Running, reason: str, *, uncertain: bool) -> None:
        """The item is not ours any more: nothing was reported, unless ``uncertain``."""
        self._log.warning("worker_item_lost", jobId=run.item.id, reason=reason, uncertain=uncertain)


def _public(outcome: Failed) -> dict[str, Any]:
    return {} if outcome.public_reason is None else {"reason": outcome.public_reason}
