"""Markers are taken while they are of use, and put back when they are not. Needs redis-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog

from bullherd_worker.markers import Markers
from bullherd_worker.redis_target import make_connection
from bullherd_worker.settings import RedisSettings
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import until

pytestmark = pytest.mark.redis

KEY = "bull:q:marker"


class Waiting:
    """Markers in action, and what they brought."""

    def __init__(self, server: RedisServer) -> None:
        settings = RedisSettings(host="127.0.0.1", port=server.port)
        self.came: list[tuple[bytes, float]] = []
        self.of_use = True
        self.markers = Markers(
            lambda: make_connection(settings), KEY.encode(), accept=self._accept, log=structlog.get_logger()
        )

    def _accept(self, member: bytes, score: float) -> bool:
        self.came.append((member, score))
        if not self.of_use:
            self.markers.want(False)
        return self.of_use

    async def has_come(self) -> bool:
        return bool(self.came)


@pytest_asyncio.fixture
async def waiting(redis_server: RedisServer) -> AsyncIterator[Waiting]:
    waiting = Waiting(redis_server)
    task = asyncio.create_task(waiting.markers.run())
    yield waiting
    task.cancel()
    await asyncio.wait({task})


async def test_a_marker_is_taken(waiting: Waiting, redis_server: RedisServer) -> None:
    client = redis_server.client()
    waiting.markers.want(True)
    await client.zadd(KEY, {"1": 1_800_000_000_123})
    await until(waiting.has_come)
    assert waiting.came == [(b"1", 1_800_000_000_123)]
    assert not await client.exists(KEY)


async def test_one_that_came_too_late_is_put_back_for_another_worker(
    waiting: Waiting, redis_server: RedisServer
) -> None:
    client = redis_server.client()
    waiting.markers.want(True)
    waiting.of_use = False
    await client.zadd(KEY, {"1": 1_800_000_000_123})
    await until(waiting.has_come)

    async def is_back() -> bool:
        return bool(await client.zscore(KEY, "1") == 1_800_000_000_123)

    await until(is_back, limit=2)
    assert len(waiting.came) == 1


async def test_none_is_taken_by_who_wants_none(waiting: Waiting, redis_server: RedisServer) -> None:
    client = redis_server.client()
    await client.zadd(KEY, {"0": 0})
    await asyncio.sleep(0.3)
    assert waiting.came == []
    assert await client.zscore(KEY, "0") == 0


async def test_it_goes_on_after_a_restart(waiting: Waiting, redis_server: RedisServer) -> None:
    waiting.markers.want(True)
    await asyncio.sleep(0.2)
    redis_server.restart()
    await redis_server.client().zadd(KEY, {"0": 0})
    await until(waiting.has_come)


async def test_a_cancel_ends_it_whatever_it_does(redis_server: RedisServer) -> None:
    """redis-py's client can lose a cancel in Python 3.11; the worker would never end."""
    for _ in range(30):
        waiting = Waiting(redis_server)
        waiting.of_use = False
        task = asyncio.create_task(waiting.markers.run())
        waiting.markers.want(True)
        await redis_server.client().zadd(KEY, {"0": 0})
        await until(waiting.has_come, every=0.001)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=2)
        assert done
