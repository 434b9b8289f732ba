"""The operator's own readers on the test's ``redis_server``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bullherd.bullmq.connection import connect
from bullherd.bullmq.events import ActivityListener
from bullherd.bullmq.snapshots import QueueReader
from bullherd.bullmq.stalled import StalledRecovery
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from tests.fixtures.redis import RedisServer

Look = Callable[..., Awaitable[QueueSnapshot]]
Connect = Callable[[RedisEndpoint], Redis]


@pytest_asyncio.fixture
async def connect_to() -> AsyncIterator[Connect]:
    """Gives the operator's client of any endpoint; closed for you."""
    clients: list[Redis] = []

    def connect_to(endpoint: RedisEndpoint) -> Redis:
        clients.append(connect(endpoint))
        return clients[-1]

    yield connect_to
    for client in clients:
        await client.aclose()


@pytest.fixture
def shared(redis_server: RedisServer, connect_to: Connect) -> Redis:
    """The client that the operator's readers of the test's Redis share."""
    return connect_to(redis_server.endpoint)


@pytest.fixture
def reader(redis_server: RedisServer, shared: Redis) -> QueueReader:
    """A reader of the test's Redis."""
    return QueueReader(redis_server.endpoint, shared)


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
async def listener(redis_server: RedisServer, shared: Redis) -> AsyncIterator[ActivityListener]:
    """A listener on the test's Redis."""
    listener = ActivityListener(redis_server.endpoint, shared)
    yield listener
    await listener.close()


@pytest.fixture
def recovery(redis_server: RedisServer, shared: Redis) -> StalledRecovery:
    """A stalled check with an interval of 0.1 s."""
    return StalledRecovery(redis_server.endpoint, shared, interval=0.1)
