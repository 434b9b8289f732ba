"""Threads for plain functions.

A thread cannot be killed. When its item timed out, lost its lock or was given back, the function is told
through ``context.cancelled``; if it goes on all the same it is *left behind*: it keeps its place in the
worker, so that a worker never runs more than its concurrency, until it ends. A worker with nothing but
left-behind threads can do no work: its ``/healthz`` fails, and Kubernetes starts it anew. The threads are
daemons, so that they never hold up the process's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any


class Threads:
    """Runs functions in threads, and counts those left behind."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self.left_behind = 0

    def leave_behind(self, result: asyncio.Future[Any]) -> None:
        """Wait no longer for this thread's result."""
        if result.cancel():
            self.left_behind += 1

    def start(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run ``function`` in a thread of its own. The future must be waited for or left behind."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def settle(value: Any, error: BaseException | None) -> None:
            if result.cancelled():
                self.left_behind -= 1
                self._on_end()
            elif error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)

        def run() -> None:
            value: Any = None
            problem: BaseException | None = None
            try:
                value = context.run(function)
            except StopIteration as error:
                # A future does not take it; it would end the wrong generator.
                problem = RuntimeError(f"The handler raised {error!r}")
            except BaseException as error:  # noqa: BLE001 # it belongs to the item, whatever it is
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(settle, value, problem)

        threading.Thread(target=run, name="handler", daemon=True).start()
        return result
