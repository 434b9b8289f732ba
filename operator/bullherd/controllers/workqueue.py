"""A queue of keys to reconcile: each key waits at most once, and is never worked on twice at a time.

A wake during a reconcile is remembered and makes it run again, so nothing that happened after its look is
missed. A later ``wake_after`` only ever brings the next run forward. Failures come back with growing pauses.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

Key = TypeVar("Key", bound=Hashable)

_FIRST_RETRY = 1.0
_LONGEST_RETRY = 60.0

_OVERTAKEN = 64
"""Plans that were overtaken and may lie in the heap until their time, beside as many as there are planned."""

_PARALLEL = 64
"""Keys at once. Of many queues that wake in one moment, each gets its replicas before any has its status and
its Events written, if they are not more than these.
"""

log = structlog.get_logger(__name__)


class WorkQueue(Generic[Key]):
    """``reconcile`` returns seconds after which it wants to run again, or None to wait for a wake."""

    def __init__(
        self, reconcile: Callable[[Key], Awaitable[float | None]], failed: Callable[[Key, Exception], None]
    ) -> None:
        self._reconcile = reconcile
        self._failed = failed
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushed = 0
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def wake(self, key: Key) -> None:
        """Reconcile as soon as possible."""
        self.wake_after(key, 0.0)

    def wake_after(self, key: Key, seconds: float) -> None:
        """Reconcile after so many seconds, or earlier if that is planned already."""
        due = asyncio.get_running_loop().time() + seconds
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._pushed += 1
            heapq.heappush(self._heap, (due, self._pushed, key))
            if len(self._heap) > 2 * len(self._due) + _OVERTAKEN:
                self._heap = [(at, number, one) for number, (one, at) in enumerate(self._due.items())]
                heapq.heapify(self._heap)
            self._changed.set()

    async def run(self, beat: Callable[[], None], parallel: int = _PARALLEL) -> None:
        """Work until cancelled, with up to ``parallel`` keys at once. ``beat`` is called each time round."""
        slots = asyncio.Semaphore(parallel)
        async with asyncio.TaskGroup() as tasks:
            while True:
                beat()
                key = await self._next()
                if key is None:
                    continue
                await slots.acquire()
                self._running.add(key)
                tasks.create_task(self._work(key, slots))

    async def _next(self) -> Key | None:
        """A key whose time has come; None after a while without one, so that the loop is seen to turn."""
        self._changed.clear()
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            # An entry that is not the planned one was overtaken; a running key is planned again when it ends.
            if self._due.get(key) == due and key not in self._running:
                del self._due[key]
                return key
        pause = min(5.0, self._heap[0][0] - now) if self._heap else 5.0
        try:
            async with asyncio.timeout(pause):
                await self._changed.wait()
        except TimeoutError:
            pass
        return None

    async def _work(self, key: Key, slots: asyncio.Semaphore) -> None:
        again: float | None
        try:
            again = await self._reconcile(key)
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001 - one key's failure must not end the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(_FIRST_RETRY * 2 ** (failures - 1), _LONGEST_RETRY)
            self._failed(key, error)
        finally:
            self._running.discard(key)
            slots.release()
        planned = self._due.pop(key, None)
        if again is not None:
            self.wake_after(key, again)
        if planned is not None:
            self.wake_after(key, max(0.0, planned - asyncio.get_running_loop().time()))
