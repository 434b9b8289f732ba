"""The items that run now: each is started, handled, reported, and makes room for the next.

A report claims the next item in the same script call, under the same token. A report that Redis cannot take
now is repeated until it is taken or the item is not ours any more; if the reply of the first try was lost,
"not ours" may as well mean that it had been taken, and both are logged as they are: uncertain.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import structlog
from redis.exceptions import ResponseError

from bullherd_worker import retry
from bullherd_worker.answers import NOTHING, FailedChildrenError, Fetched, NotOursError, PendingChildrenError
from bullherd_worker.attempt_log import AttemptLog
from bullherd_worker.context import JobContext, PlainJobContext
from bullherd_worker.errors import RedisAwayError
from bullherd_worker.execution import execute
from bullherd_worker.item import Item
from bullherd_worker.link import Link
from bullherd_worker.metrics import Metrics
from bullherd_worker.outcome import Completed, Failed, Outcome, add_trace, failure
from bullherd_worker.queue_scripts import QueueScripts, now_ms
from bullherd_worker.registry import JobKind
from bullherd_worker.reports import PatientReporter
from bullherd_worker.running import Phase, Running
from bullherd_worker.schedules import ScheduleError, next_run
from bullherd_worker.threads import Threads

RETRY_PAUSE_S = 1.0


class Attempts:
    """All running items of one worker."""

    def __init__(
        self,
        *,
        kind: JobKind,
        queue: str,
        concurrency: int,
        lock_seconds: float,
        thread_grace_seconds: float,
        scripts: QueueScripts,
        link: Link,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        on_change: Callable[[Fetched], None],
    ) -> None:
        self._kind = kind
        self._queue = queue
        self._concurrency = concurrency
        self._lock_seconds = lock_seconds
        self._thread_grace_seconds = thread_grace_seconds
        self._scripts = scripts
        self._link = link
        self._metrics = metrics
        self._log = log
        self._events = AttemptLog(kind.event, log)
        self._on_change = on_change
        self._reporter = PatientReporter(scripts, link, log)
        self.threads = Threads(lambda: on_change(NOTHING))
        self.running: set[Running] = set()
        #: False once the worker drains: reports claim nothing more.
        self.claiming = True

    @property
    def free(self) -> int:
        """Places for more items."""
        return self._concurrency - len(self.running) - self.threads.left_behind

    def start(self, item: Item, token: str, claimed_at: float) -> None:
        """Run an item just claimed under ``token``; ``claimed_at`` (monotonic) is before the claim."""
        for other in self.running:
            if other.item.raw_id == item.raw_id and other.stop(Phase.LOST):
                # Its lock ran out unnoticed, and the item came back to us: the older run is fenced off.
                self._tell_lost(other, "its lock ran out and this worker claimed it again")
        run = Running(
            item, token, self._context(item), started=claimed_at, locked_until=claimed_at + self._lock_seconds
        )
        if not self.claiming:
            run.phase = Phase.GIVING_BACK
        self.running.add(run)
        run.task = asyncio.create_task(self._work(run))

    def tell_lost(self, run: Running, reason: str) -> None:
        """Stop a run whose lock is gone."""
        if run.stop(Phase.LOST):
            self._tell_lost(run, reason)

    async def give_back(self, run: Running) -> None:
        """Put the item of ``run`` back, no attempt counted."""
        try:
            await self._scripts.give_back(run.item.raw_id, run.token)
        except (RedisAwayError, NotOursError, ResponseError) as problem:
            # Its lock runs out, and the stalled check brings it back.
            self._log.warning("worker_give_back_failed", jobId=run.item.id, problem=str(problem))
        else:
            self._metrics.given_back.inc()
            self._log.info("worker_item_given_back", jobId=run.item.id)

    def _context(self, item: Item) -> JobContext | PlainJobContext:
        fields = {
            "raw_id": item.raw_id,
            "item_id": item.id,
            "name": item.name,
            "queue": self._queue,
            "attempt": item.attempts_made + 1,
            "reporter": self._reporter,
            "due": item.due,
            "keep_logs": item.options.keep_logs,
        }
        if self._kind.plain:
            return PlainJobContext(loop=asyncio.get_running_loop(), **fields)
        return JobContext(**fields)  # type: ignore[arg-type] # the dictionary's values are of many types

    async def _work(self, run: Running) -> None:
        fetched = NOTHING
        sent_at = 0.0
        try:
            outcome = None if run.phase is Phase.GIVING_BACK else await self._handle(run)
            if outcome is not None:
                run.phase = Phase.REPORTING
                sent_at = time.monotonic()
                fetched = await self._report(run, outcome)
            elif run.phase is Phase.GIVING_BACK:
                await self.give_back(run)
        finally:
            self.running.discard(run)
        if fetched.item is not None:
            self.start(fetched.item, run.token, sent_at)
        self._on_change(fetched)

    async def _handle(self, run: Running) -> Outcome | None:
        """The outcome to report, or None when there is nothing to report."""
        item = run.item
        try:
            if item.scheduler_id is not None:
                await self._advance_scheduler(item, item.scheduler_id)
            if item.deferred_failure is None:
                self._events.start(run)
            outcome = await execute(self._kind, item, run.context, self.threads, self._thread_grace_seconds)
        except asyncio.CancelledError:
            if run.phase is Phase.HANDLING:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                return failure(RuntimeError("The handler was cancelled from inside"))
            if run.task is not None:
                run.task.uncancel()
            return None
        if run.phase is Phase.LOST or (run.phase is Phase.GIVING_BACK and isinstance(outcome, Failed)):
            return None  # a handler that turned its cancellation into an error of its own has not failed
        self._metrics.seconds.observe(time.monotonic() - run.started)
        return outcome

    async def _advance_scheduler(self, item: Item, scheduler_id: bytes) -> None:
        """Before the item runs: a schedule must go on even if this run brings the worker down."""
        try:
            following = next_run(item.options.raw, scheduler_id.decode(errors="replace"), now_ms())
            if following is None:
                return
            while True:
                try:
                    await self._scripts.advance_scheduler(
                        item, scheduler_id, following.at_ms, following.options
                    )
                    return
                except RedisAwayError:
                    await self._link.up()
        except (ScheduleError, ResponseError) as problem:
            self._log.error(
                "worker_schedule_failed",
                jobId=item.id,
                scheduler=scheduler_id.decode(errors="replace"),
                problem=str(problem),
            )

    async def _report(self, run: Running, outcome: Outcome) -> Fetched:
        self._events.handled(run, outcome)
        chance = random.random()  # jitter
        uncertain = False
        while True:
            fetch_next = self.claiming and self.free >= 0
            try:
                if isinstance(outcome, Completed):
                    return await self._report_completed(run, outcome, fetch_next)
                return await self._report_failed(run, outcome, fetch_next, chance)
            except RedisAwayError:
                uncertain = True
                await self._link.up()
            except NotOursError as refusal:
                self._tell_lost(run, str(refusal), uncertain=uncertain)
                return NOTHING
            except (PendingChildrenError, FailedChildrenError) as refusal:
                outcome = failure(refusal)
            except ResponseError as refusal:
                self._log.error("worker_report_refused", jobId=run.item.id, problem=str(refusal))
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _report_completed(self, run: Running, outcome: Completed, fetch_next: bool) -> Fetched:
        fetched = await self._scripts.complete(run.item, run.token, outcome.result, fetch_next=fetch_next)
        self._metrics.completed.inc()
        self._events.completed(run)
        return fetched

    async def _report_failed(self, run: Running, outcome: Failed, fetch_next: bool, chance: float) -> Fetched:
        item = run.item
        decision = retry.decide(
            attempts=item.options.attempts,
            attempts_made=item.attempts_made,
            backoff=item.options.backoff,
            recoverable=outcome.recoverable,
            chance=chance,
        )
        trace = add_trace(item.stacktrace, outcome.trace, item.options.stack_limit)
        fetched = NOTHING
        if isinstance(decision, retry.FailForGood):
            fetched = await self._scripts.fail(item, run.token, outcome.reason, trace, fetch_next=fetch_next)
            self._metrics.failed.inc()
        elif isinstance(decision, retry.RetryLater):
            fetched = await self._scripts.retry_later(
                item, run.token, decision.delay_ms, outcome.reason, trace, fetch_next=fetch_next
            )
            self._metrics.retried.inc()
        else:
            await self._scripts.retry_now(item, run.token, outcome.reason, trace)
            self._metrics.retried.inc()
        self._events.failed(run, outcome, decision)
        return fetched

    def _tell_lost(self, run: Running, reason: str, *, uncertain: bool = False) -> None:
        self._metrics.lost.inc()
        self._events.lost(run, reason, uncertain=uncertain)
