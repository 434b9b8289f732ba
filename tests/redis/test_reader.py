"""Reading queues from a real server: round trips, wrong keys, restarts, permissions. Needs redis-server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.snapshots import QueueReader, QueueUnreadable
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot
from tests.fixtures.redis import RedisServer, StartRedis
from tests.redis.conftest import Connect

pytestmark = pytest.mark.redis

ORDERS = QueueKey("bull", "orders")
READ_COMMANDS = "+exists +llen +lindex +zcard +zcount +zrange +zrangebyscore +hmget +get +pttl"


async def test_two_hundred_queues_in_one_round_trip(
    redis_server: RedisServer, reader: QueueReader, connect_to: Connect
) -> None:
    """Behind a network that takes 0.4 s for each answer, 200 queues take as long as one."""
    queues = [QueueKey("bull", f"queue-{n}") for n in range(200)]
    client = redis_server.client()
    for n, queue in enumerate(queues):
        await client.rpush(f"{queue.key_prefix}wait", *range(n + 1))
    await reader.snapshots([ORDERS], time.time())  # the server knows the script
    await client.config_resetstat()

    async with slow_network(redis_server.endpoint, seconds=0.4) as endpoint:
        distant = QueueReader(endpoint, connect_to(endpoint))
        await distant.snapshots([ORDERS], time.time())  # connects
        begun = time.monotonic()
        snapshots = await distant.snapshots(queues, time.time())
        took = time.monotonic() - begun

    assert [waiting(snapshots[queue]) for queue in queues] == list(range(1, 201))
    assert 0.4 <= took < 0.8
    assert (await client.info("commandstats"))["cmdstat_evalsha_ro"]["calls"] == 201


def waiting(snapshot: QueueSnapshot | QueueUnreadable) -> int:
    assert isinstance(snapshot, QueueSnapshot), snapshot
    return snapshot.waiting


@contextlib.asynccontextmanager
async def slow_network(endpoint: RedisEndpoint, seconds: float) -> AsyncIterator[RedisEndpoint]:
    """A relay in front of Redis that holds back every answer."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(endpoint.host, endpoint.port)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
            loop = asyncio.get_running_loop()
            while data := await source.read(2**20):
                loop.call_later(delay, target.write, data)
            target.close()

        await asyncio.gather(pass_on(reader, requests, 0), pass_on(answers, writer, seconds))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield dataclasses.replace(endpoint, port=server.sockets[0].getsockname()[1])


async def test_no_queues_need_no_server(connect_to: Connect) -> None:
    endpoint = RedisEndpoint("127.0.0.1", port=1)
    reader = QueueReader(endpoint, connect_to(endpoint))
    assert await reader.snapshots([], 1.0) == {}


async def test_reading_changes_nothing(redis_server: RedisServer, reader: QueueReader) -> None:
    client = redis_server.client()
    await client.rpush("bull:orders:wait", "1")
    await client.hset("bull:orders:1", mapping={"timestamp": 1000, "opts": '{"delay": 5}'})
    await client.zadd("bull:orders:delayed", {"2": 4096})
    before = (await client.info("persistence"))["rdb_changes_since_last_save"]
    await reader.snapshots([ORDERS, QueueKey("bull", "nothing")], time.time())
    assert (await client.info("persistence"))["rdb_changes_since_last_save"] == before
    assert await client.dbsize() == 3


@pytest.mark.parametrize(
    "key",
    ["wait", "paused", "active", "prioritized", "delayed", "waiting-children", "completed", "failed", "meta"],
)
async def test_a_key_of_another_program_spoils_only_its_queue(
    redis_server: RedisServer, reader: QueueReader, key: str
) -> None:
    client = redis_server.client()
    await client.set(f"bull:orders:{key}", "not BullMQ's")
    await client.rpush("bull:good:wait", "1")
    good = QueueKey("bull", "good")
    result = await reader.snapshots([ORDERS, good], time.time())
    unreadable = result[ORDERS]
    assert isinstance(unreadable, QueueUnreadable)
    assert unreadable.reason.startswith("A key of the queue bull:orders is not BullMQ's")
    assert f"(bull:orders:{key})" in unreadable.reason
    assert waiting(result[good]) == 1


async def test_settings_that_are_no_numbers(redis_server: RedisServer, reader: QueueReader) -> None:
    await redis_server.client().hset("bull:orders:meta", "concurrency", "many")
    unreadable = (await reader.snapshots([ORDERS], 1.0))[ORDERS]
    assert isinstance(unreadable, QueueUnreadable)
    assert "bull:orders:meta" in unreadable.reason
    assert "many" in unreadable.reason


async def test_a_restart_and_a_script_flush(redis_server: RedisServer, reader: QueueReader) -> None:
    await redis_server.client().rpush("bull:orders:wait", "1")
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1

    redis_server.restart()
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1

    await redis_server.client().script_flush()
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1


async def test_a_dead_server_is_unknown_and_heals(redis_server: RedisServer, reader: QueueReader) -> None:
    await redis_server.client().rpush("bull:orders:wait", "1")
    await reader.snapshots([ORDERS], 1.0)
    redis_server.kill()
    with pytest.raises(RedisUnavailable):
        await reader.snapshots([ORDERS], 1.0)
    redis_server.start()
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1


async def test_many_tasks_share_a_reader(redis_server: RedisServer, reader: QueueReader) -> None:
    await redis_server.client().rpush("bull:orders:wait", "1")
    results = await asyncio.gather(*(reader.snapshots([ORDERS], 1.0) for _ in range(20)))
    assert [waiting(result[ORDERS]) for result in results] == [1] * 20


async def test_a_replica_can_be_read(start_redis: StartRedis, connect_to: Connect) -> None:
    primary = start_redis(options=("--repl-diskless-sync-delay", "0"))
    await primary.client().rpush("bull:orders:wait", "1")
    replica = start_redis(options=("--replicaof", "127.0.0.1", str(primary.port)))
    await primary.client().wait(1, 10_000)
    reader = QueueReader(replica.endpoint, connect_to(replica.endpoint))
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1


@pytest.mark.parametrize("commands", [f"{READ_COMMANDS} +evalsha_ro", f"{READ_COMMANDS} +evalsha"])
async def test_the_acl_that_reading_needs(
    redis_server: RedisServer, commands: str, connect_to: Connect
) -> None:
    """``evalsha_ro`` is asked for first; a user without it may have ``evalsha``."""
    client = redis_server.client()
    await client.rpush("bull:orders:wait", "1")
    await acl_user(redis_server, f"~bull:* {commands} +script|load +select +client|setname")
    endpoint = dataclasses.replace(redis_server.endpoint, db=0, username="reader", password="pw")
    reader = QueueReader(endpoint, connect_to(endpoint))
    for _ in range(2):
        assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1


async def test_a_queue_that_the_acl_hides(redis_server: RedisServer, connect_to: Connect) -> None:
    await acl_user(redis_server, "~bull:* +@all")
    endpoint = dataclasses.replace(redis_server.endpoint, username="reader", password="pw")
    reader = QueueReader(endpoint, connect_to(endpoint))
    hidden = QueueKey("secret", "orders")
    result = await reader.snapshots([ORDERS, hidden], 1.0)
    assert isinstance(result[hidden], QueueUnreadable)
    assert waiting(result[ORDERS]) == 0


async def acl_user(server: RedisServer, rules: str) -> None:
    client: Any = server.client()
    await client.execute_command(*f"ACL SETUSER reader on >pw {rules}".split())


async def test_redis_before_7_has_no_evalsha_ro(start_redis: StartRedis, connect_to: Connect) -> None:
    server = start_redis(options=("--rename-command", "EVALSHA_RO", "HIDDEN"))
    await server.client().rpush("bull:orders:wait", "1")
    reader = QueueReader(server.endpoint, connect_to(server.endpoint))
    for _ in range(2):
        assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 1


async def read_for_ever(reader: QueueReader) -> None:
    while True:
        await reader.snapshots([ORDERS], 1.0)


async def test_a_busy_server_is_unavailable_not_empty(redis_server: RedisServer, reader: QueueReader) -> None:
    client = redis_server.client()
    await reader.snapshots([ORDERS], 1.0)
    await client.config_set("busy-reply-threshold", 1)
    another: Any = redis_server.client()
    endless = asyncio.create_task(another.eval("while true do end", 0))
    with pytest.raises(RedisUnavailable, match="BUSY"):
        await read_for_ever(reader)  # it is answered until the script runs longer than the threshold
    await client.script_kill()
    with contextlib.suppress(Exception):
        await endless
    assert waiting((await reader.snapshots([ORDERS], 1.0))[ORDERS]) == 0
