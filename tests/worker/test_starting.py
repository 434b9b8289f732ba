"""Starting a worker, and what it says when it cannot. Needs redis-server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker

pytestmark = pytest.mark.redis


async def test_an_unknown_kind_is_refused_with_the_known_ones(start_worker: StartWorker) -> None:
    worker = await start_worker("nobody-knows", ready=False)
    assert await worker.ended() == 2
    assert "No job kind 'nobody-knows' is registered (registered: blocks, brief, " in "\n".join(worker.raw)


async def test_a_module_that_cannot_be_imported_is_named(start_worker: StartWorker) -> None:
    worker = await start_worker("say", modules=("tests.worker.no_such_module",), ready=False)
    assert await worker.ended() == 2
    assert "Module tests.worker.no_such_module cannot be imported" in worker.raw[0]


async def test_wrong_settings_are_named_by_their_variables(start_worker: StartWorker) -> None:
    worker = await start_worker("say", ready=False, queue_concurrency=0)
    assert await worker.ended() == 2
    assert "QUEUE_CONCURRENCY: Input should be greater than or equal to 1" in worker.raw[0]
    worker = await start_worker("", ready=False)
    assert await worker.ended() == 2
    assert "QUEUE_NAME: Field required" in worker.raw[0]


async def test_echo_is_there(start_worker: StartWorker) -> None:
    worker = await start_worker("examples", kind="echo", modules=("bullherd_worker.kinds.echo",))
    assert (await worker.event("worker_started"))[0] | {"time": ""} == {
        "event": "worker_started", "queue": "examples", "kind": "echo", "concurrency": 1, "worker": "pod-0",
        "level": "info", "time": "",
    }  # fmt: skip
    assert worker.named("queue_initialized")
    assert await worker.terminate() == 0


async def test_the_command_as_it_is_installed(redis_server: RedisServer) -> None:
    """Started cold, as in a pod; the other tests' workers have done their imports before."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("bullherd-worker"),
        "bullherd_worker.kinds.echo",
        env={**os.environ, **redis_server.environment, "QUEUE_NAME": "echo", "WORKER_HTTP_PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            async for line in process.stdout:
                if json.loads(line)["event"] == "worker_started":
                    break
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
