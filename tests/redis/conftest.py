"""The operator's own readers on the test's ``redis_server``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from bullherd.bullmq.events import ActivityListener
from bullherd.bullmq.snapshots import QueueReader
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from tests.fixtures.redis import RedisServer

Look = Callable[..., Awaitable[QueueSnapshot]]


@pytest_asyncio.fixture
async def reader(redis_server: RedisServer) -> AsyncIterator[QueueReader]:
    """A reader of the test's Redis."""
    reader = QueueReader(redis_server.endpoint)
    yield reader
    await reader.close()


@pytest_asyncio.fixture
async def look(reader: QueueReader) -> Look:
    """``await look("orders")``: one queue's snapshot now, or at ``now=``; fails when it is unreadable."""

    async def look(name: str, *, prefix: str = "bull", now: float | None = None) -> QueueSnapshot:
        queue = QueueKey(prefix, name)
        snapshot = (await reader.snapshots([queue], time.time() if now is None else now))[queue]
        assert isinstance(snapshot, QueueSnapshot), snapshot
        return snapshot

    return look


@pytest_asyncio.fixture
async def listener(redis_server: RedisServer) -> AsyncIterator[ActivityListener]:
    """A listener on the test's Redis."""
    listener = ActivityListener(redis_server.endpoint)
    yield listener
    await listener.close()


@pytest_asyncio.fixture
async def recovery(redis_server: RedisServer) -> AsyncIterator[StalledRecovery]:
    """A stalled check with an interval of 0.1 s."""
    recovery = StalledRecovery(redis_server.endpoint, interval=0.1)
    yield recovery
    await recovery.close()
