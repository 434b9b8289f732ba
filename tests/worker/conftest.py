"""Real ``bullherd-worker`` processes for the tests of this folder, and short ways to wait for what they do.

How to use it::

async def test_something(bullmq_node: BullmqNode, start_worker: StartWorker) -> None: worker = await
start_worker("orders", kind="say", concurrency=5)   # job kinds are in tests/worker/kinds.py await
worker.event("worker_job_completed", count=3)                # its log lines, as dictionaries await
worker.terminate()                                           # SIGTERM, wait; or worker.kill()

Needs the Debian package redis-server; tests with ``bullmq_node`` need Node 20 too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
import pytest_asyncio

from tests.fixtures.redis import RedisServer

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


class WorkerProcess:
    """One worker process and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self.events: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def event(self, name: str, count: int = 1, limit: float = LIMIT_S) -> list[dict[str, Any]]:
        """All events called ``name``, once there are ``count``."""

        def matching() -> list[dict[str, Any]]:
            return [one for one in self.events if one.get("event") == name]

        async with self._news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._news.wait_for(lambda: len(matching()) >= count or self._reader.done()), limit
                )
            found = matching()
            assert len(found) >= count, (
                f"{len(found)} of {count} {name!r} after {limit} s; log:\n" + "\n".join(self.raw)
            )
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        """The events called ``name`` so far."""
        return [one for one in self.events if one.get("event") == name]

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of its HTTP page."""
        port = (await self.event("http_listening"))[0]["port"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def terminate(self, limit: float = LIMIT_S) -> int:
        """SIGTERM, as Kubernetes sends it; the exit code."""
        self._process.terminate()
        return await self.ended(limit)

    async def ended(self, limit: float = LIMIT_S) -> int:
        """The exit code, once it has ended."""
        await asyncio.wait_for(asyncio.shield(self._reader), limit)
        return self._process.wait(timeout=5)  # its output has ended, so it has, or is about to

    async def kill(self) -> None:
        """SIGKILL, as an out-of-memory kill; returns when it is gone."""
        self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        lines = asyncio.StreamReader(limit=2**24)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), self._process.stdout
        )
        async for raw in lines:
            line = raw.decode().rstrip()
            async with self._news:
                self.raw.append(line)
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    self.events.append({"event": None, "line": line})
                self._news.notify_all()
        pipe.close()
        async with self._news:
            self._news.notify_all()


class WarmWorkers:
    """Has always one process ready that has done a worker's imports."""

    def __init__(self) -> None:
        self._next = self._spawn()

    def take(self, environment: dict[str, str], modules: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Make a worker of the process that is ready, and start another one."""
        process, self._next = self._next, self._spawn()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"environment": environment, "modules": modules}).encode() + b"\n")
        process.stdin.close()
        return process

    def close(self) -> None:
        """End the process that nobody took."""
        self._next.communicate(b"")

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.worker.warm_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[WarmWorkers]:
    """One process ahead of the tests, for all of them."""
    workers = WarmWorkers()
    yield workers
    workers.close()


class StartWorker(Protocol):
    """What the fixture ``start_worker`` gives."""

    async def __call__(
        self,
        queue: str,
        *,
        kind: str | None = None,
        concurrency: int = 1,
        modules: tuple[str, ...] = ("tests.worker.kinds",),
        server: RedisServer | None = None,
        ready: bool = True,
        **settings: Any,
    ) -> WorkerProcess: ...


@pytest_asyncio.fixture
async def start_worker(redis_server: RedisServer, warm_workers: WarmWorkers) -> AsyncIterator[StartWorker]:
    """Starts workers on the test's ``redis_server``; ``settings`` are environment variables, lower case
    allowed.
    """
    running: list[WorkerProcess] = []

    async def start(
        queue: str,
        *,
        kind: str | None = None,
        concurrency: int = 1,
        modules: tuple[str, ...] = ("tests.worker.kinds",),
        server: RedisServer | None = None,
        ready: bool = True,
        **settings: Any,
    ) -> WorkerProcess:
        environment = {
            **os.environ,
            **(server or redis_server).environment,
            "QUEUE_NAME": queue,
            "QUEUE_CONCURRENCY": str(concurrency),
            "JOB_KIND": kind or "",
            "WORKER_NAME": f"pod-{len(running)}",
            "WORKER_HTTP_PORT": "0",
            "WORKER_HTTP_HOST": "127.0.0.1",
            "WORKER_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
            **{key.upper(): str(value) for key, value in settings.items()},
        }
        worker = WorkerProcess(warm_workers.take(environment, modules))
        running.append(worker)
        if ready:
            await worker.event("worker_started")
        return worker

    yield start
    for worker in running:
        await worker.kill()


async def until(
    condition: Callable[[], Awaitable[bool]], limit: float = LIMIT_S, every: float = 0.02, what: str = "it"
) -> None:
    """Wait until ``condition`` holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while not await condition():
        assert loop.time() < end, f"{what} did not come about within {limit} s"
        await asyncio.sleep(every)
