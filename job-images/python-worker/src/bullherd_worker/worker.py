"""The worker: claims items, has them run, and leaves without losing any.

Each running item holds one of ``concurrency`` places. Reporting an item claims the next one in the same
script call, so a busy worker makes one call per item; the fetch loop only fills free places. When there is
nothing to fetch it sleeps until a marker, a due time, the end of a rate limit or, at the latest,
``LONGEST_BLOCK_S`` wakes it.

Ownership is the lock in Redis, under a token that no two running items of this worker share. An item whose
lock is gone (Redis was away too long, the event loop was blocked) is not ours: its handler is cancelled and
nothing is reported. The item runs again elsewhere: at-least-once.

SIGTERM drains: no more fetching; running items may finish within ``drain_seconds``; the rest is cancelled and
given back with no attempt counted. Nothing that was claimed stays claimed.
"""

from __future__ import annotations

import asyncio
import time
import uuid

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import ResponseError

from bullherd_worker import drain, health
from bullherd_worker.answers import Fetched
from bullherd_worker.attempts import Attempts
from bullherd_worker.errors import RedisAwayError
from bullherd_worker.keys import Keys
from bullherd_worker.link import Link
from bullherd_worker.locks import LockKeeper
from bullherd_worker.markers import LONGEST_BLOCK_S, Markers
from bullherd_worker.metrics import Metrics
from bullherd_worker.queue_scripts import QueueScripts, now_ms
from bullherd_worker.redis_target import client_name, make_connection
from bullherd_worker.registry import JobKind
from bullherd_worker.settings import Settings
from bullherd_worker.stalled import StalledCheck

LARGEST_BURST = 64
TURN_S = 5.0
REFUSED_PAUSE_S = 1.0


class Worker:
    """One queue's worker in this process. ``run`` works until ``drain`` is called."""

    def __init__(self, settings: Settings, kind: JobKind) -> None:
        self._settings = settings
        self._kind = kind
        queue, own = settings.queue, settings.worker
        self._log = structlog.get_logger().bind(queue=queue.name)
        self._token_prefix = f"{uuid.uuid4().hex}:"
        self._tokens = 0
        keys = Keys(queue.prefix, queue.name)
        self._link = Link(
            lambda: make_connection(settings.redis),
            self._prepare,
            on_up=self._came_up,
            reply_seconds=own.reply_seconds,
            log=self._log,
        )
        limiter = (
            None
            if queue.limiter_max is None
            else {"max": queue.limiter_max, "duration": queue.limiter_duration}
        )
        self._scripts = QueueScripts(
            self._link, keys, lock_duration=own.lock_duration, worker_name=own.name, limiter=limiter
        )
        self._markers = Markers(
            lambda: make_connection(settings.redis, client_name(queue, own.name)),
            keys.marker,
            accept=self._accept_marker,
            log=self._log,
        )
        self.metrics = Metrics(queue.name, kind.name)
        self.metrics.concurrency.set(queue.concurrency)
        self._attempts = Attempts(
            kind=kind,
            queue=queue.name,
            concurrency=queue.concurrency,
            lock_seconds=own.lock_duration / 1000,
            thread_grace_seconds=own.thread_grace_seconds,
            scripts=self._scripts,
            link=self._link,
            metrics=self.metrics,
            log=self._log,
            on_change=self._freed,
        )
        self._stalled_check = StalledCheck(
            self._scripts,
            self._link,
            max_stalled=own.max_stalled,
            interval_ms=own.stalled_interval,
            metrics=self.metrics,
            log=self._log,
        )
        self._locks = LockKeeper(self._attempts, self._scripts, own.lock_duration / 1000)
        self._wake = asyncio.Event()
        self._drain_asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._loop_turned_at = time.monotonic()
        self._limited_until = 0.0
        self._next_due_ms = 0
        #: Set when it is known that waiting for a marker would be in vain: look again first.
        self._look_again = True

    def drain(self) -> None:
        """Finish what runs and end; called a second time: give back at once what still runs."""
        if self._drain_asked.is_set():
            self._hurry.set()
        self._drain_asked.set()
        self._attempts.claiming = False
        self._wake.set()

    @property
    def threads_left_behind(self) -> int:
        """Plain functions that still run though nobody waits for them."""
        return self._attempts.threads.left_behind

    def problems(self) -> list[str]:
        """What is wrong with this worker, for ``/healthz``."""
        vitals = health.Vitals(
            loop_turned_at=self._loop_turned_at,
            redis_away_since=self._link.away_since,
            threads_left_behind=self._attempts.threads.left_behind,
            concurrency=self._settings.queue.concurrency,
            draining=self._drain_asked.is_set(),
        )
        return health.problems(vitals, time.monotonic(), self._settings.worker.redis_away_seconds)

    def measure(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.active.set(len(self._attempts.running))
        self.metrics.threads_left_behind.set(self._attempts.threads.left_behind)
        self.metrics.redis_up.set(self._link.is_up)

    async def run(self) -> bool:
        """Work until drained. False when a part of the worker ended by itself, which it never should."""
        parts = {
            asyncio.create_task(part, name=name)
            for name, part in (
                ("link", self._link.run()),
                ("locks", self._locks.run()),
                ("stalled check", self._stalled_check.run()),
            )
        }
        claims = asyncio.create_task(self._fetch_loop(), name="fetch loop")
        markers = asyncio.create_task(self._markers.run(), name="markers")
        parts |= {claims, markers}
        asked = asyncio.create_task(self._drain_asked.wait())
        try:
            ended, _ = await asyncio.wait({*parts, asked}, return_when=asyncio.FIRST_COMPLETED)
            broken = [part for part in ended if part is not asked and not self._drain_asked.is_set()]
            for part in broken:
                self._log.error("worker_broken", part=part.get_name(), exc_info=part.exception())
            if broken:
                self.drain()  # asked for already it would hurry, and give back what may still finish
            markers.cancel()
            await asyncio.wait({markers})
            await drain.finish(
                self._attempts,
                self._scripts,
                claims,
                seconds=self._settings.worker.drain_seconds,
                hurry=self._hurry,
                log=self._log,
            )
            return not broken
        finally:
            asked.cancel()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _prepare(self, connection: Connection) -> None:
        running = {run.item.raw_id for run in self._attempts.running}
        given_back = await self._scripts.prepare(connection, self._token_prefix, running)
        if given_back:
            self._log.info("worker_claims_given_back", count=len(given_back))

    def _came_up(self) -> None:
        self._look_again = True
        self._wake.set()

    async def _fetch_loop(self) -> None:
        # It beats while it waits: without Redis this worker is as healthy as WORKER_REDIS_AWAY_SECONDS says.
        while not self._link.is_up:
            if self._drain_asked.is_set():
                return
            self._loop_turned_at = time.monotonic()
            await self._sleep(TURN_S)
        queue = self._settings.queue
        self._log.info("queue_initialized", prefix=queue.prefix)
        self._log.info(
            "worker_started",
            worker=self._settings.worker.name,
            kind=self._kind.name,
            concurrency=queue.concurrency,
        )
        burst = 1
        while not self._drain_asked.is_set():
            self._loop_turned_at = time.monotonic()
            pause = self._limited_until - time.monotonic()
            if not self._link.is_up or self._attempts.free <= 0:
                await self._sleep(TURN_S)
            elif pause > 0:
                await self._sleep(min(pause, TURN_S))
            elif not self._look_again:
                await self._idle()
            elif await self._fetch(min(self._attempts.free, burst)):
                burst = min(burst * 2, LARGEST_BURST)
            else:
                burst = 1

    async def _fetch(self, count: int) -> bool:
        """Claim up to ``count`` items at once; True when all were there, so that there may be more."""
        self._look_again = False
        sent_at = time.monotonic()
        tokens = [self._new_token() for _ in range(count)]
        answers = await asyncio.gather(
            *(self._scripts.fetch(token) for token in tokens), return_exceptions=True
        )
        got = 0
        for token, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, Fetched):
                self._learn(answer)
                if answer.item is not None:
                    got += 1
                    self._attempts.start(answer.item, token, sent_at)
            elif isinstance(answer, ResponseError):
                self._log.error("worker_fetch_refused", problem=str(answer))
                self._look_again = True
                await self._sleep(REFUSED_PAUSE_S)
                return False
            elif isinstance(answer, RedisAwayError):
                self._look_again = True
            else:
                raise answer
        if got == count:
            self._look_again = True
        return got == count

    async def _idle(self) -> None:
        """Sleep until there may be work: a marker, a due item, or the next look for good measure."""
        due_s = (self._next_due_ms - now_ms()) / 1000 if self._next_due_ms else LONGEST_BLOCK_S
        if due_s > 0:
            self._markers.want(True)
            await self._sleep(min(due_s, LONGEST_BLOCK_S), look_again=True)
            self._markers.want(False)
        if self._next_due_ms and self._next_due_ms <= now_ms():
            self._next_due_ms = 0
            self._look_again = True

    async def _sleep(self, seconds: float, *, look_again: bool = False) -> None:
        """Until something changes, at most ``seconds``; ``look_again``: fetch when nothing woke us."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            self._look_again = self._look_again or look_again
        self._wake.clear()

    def _accept_marker(self, member: bytes, score: float) -> bool:
        """A marker came: is it of use? If not, it goes back for another worker."""
        if self._attempts.free <= 0 or self._drain_asked.is_set() or self._limited_until > time.monotonic():
            return False
        if member == b"1" and score > now_ms():
            self._next_due_ms = min(self._next_due_ms or int(score), int(score))
        else:
            self._look_again = True
        self._wake.set()
        return True

    def _freed(self, fetched: Fetched) -> None:
        """A place may be free. A report that found nothing to claim has looked; others, like a retry at once,
        have not.
        """
        if fetched.item is None:
            self._learn(fetched)
            self._look_again = self._look_again or not fetched.looked
            self._wake.set()

    def _learn(self, fetched: Fetched) -> None:
        if fetched.limited_ms > 0:
            self._limited_until = time.monotonic() + fetched.limited_ms / 1000
            self._look_again = True
        if fetched.next_due_ms > 0:
            self._next_due_ms = fetched.next_due_ms

    def _new_token(self) -> str:
        self._tokens += 1
        return f"{self._token_prefix}{self._tokens}"
