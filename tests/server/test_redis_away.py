"""A Redis that is away: the last value for a while, then none, never 0; the server itself stays ready. Needs
the cluster, redis-server and Node with bullmq.
"""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from tests.cluster.queuejobs import queuejob
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer, StartRedis
from tests.fixtures.server import Server, StartServer
from tests.server.asking import INTERVAL_S, Reader

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

STALE_AFTER = 15
"""The shortest that there is."""

READY = (200, '{"ready": true, "failures": []}')


@pytest_asyncio.fixture
async def server(start_server: StartServer, connections: Connections, redis_server: RedisServer) -> Server:
    connections.write("default", redis_server.endpoint)
    return await start_server(STALE_AFTER_SECONDS=str(STALE_AFTER))


@pytest_asyncio.fixture
async def reader(namespace: Namespace) -> Reader:
    return await Reader.of(namespace)


async def sees_it_go(server: Server, reader: Reader, value: str) -> None:
    """The last value until it is too old, then why there is none; nothing else in between."""
    seen: list[dict[str, str] | str] = []

    def gone(answer: dict[str, str] | str) -> bool:
        seen.append(answer)
        return isinstance(answer, str)

    await reader.until(server, gone, limit=STALE_AFTER + 15)
    assert all(one == {"orders": value} for one in seen[:-1])
    assert len(seen) > 1
    assert f"nothing older than {STALE_AFTER} s is given out: Redis at 127.0.0.1:" in seen[-1]
    assert await server.http("/readyz") == READY
    assert await server.ask("/readyz") == (200, "ok")


async def test_away_and_back(
    namespace: Namespace,
    server: Server,
    reader: Reader,
    redis_server: RedisServer,
    start_node: StartNode,
) -> None:
    await namespace.create(queuejob("orders"))
    await (await start_node("v6", redis_server)).queue("orders").add_bulk(range(5))
    await reader.until_values(server, {"orders": 5})
    redis_server.stop()
    await sees_it_go(server, reader, "5")
    redis_server.start()
    await reader.until_values(server, {"orders": 5})
    await (await start_node("v6", redis_server)).queue("orders").add()
    await reader.until_values(server, {"orders": 6})
    assert await server.http("/readyz") == READY


async def test_hanging(
    namespace: Namespace,
    server: Server,
    reader: Reader,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    await namespace.create(queuejob("orders"))
    await bullmq_node_6.queue("orders").add_bulk(range(5))
    await reader.until_values(server, {"orders": 5})
    redis_server.freeze()
    try:
        await sees_it_go(server, reader, "5")
    finally:
        redis_server.thaw()
    await reader.until_values(server, {"orders": 5})


async def test_away_from_the_start(
    namespace: Namespace,
    connections: Connections,
    reader: Reader,
    redis_server: RedisServer,
    start_redis: StartRedis,
    start_node: StartNode,
    start_server: StartServer,
) -> None:
    """The queues of another Redis are answered for, and so are these as soon as theirs is there."""
    another = start_redis()
    connections.write("default", redis_server.endpoint)
    connections.write("another", another.endpoint)
    await (await start_node("v6", redis_server)).queue("orders").add_bulk(range(5))
    await (await start_node("v6", another)).queue("mails").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    await namespace.create(queuejob("mails", redis={"connection": "another"}))
    redis_server.stop()

    server = await start_server()

    assert await server.http("/readyz") == READY
    assert await reader.values(server, "queuejob=mails") == {"mails": "2"}
    answer = await reader.values(server, "queuejob=orders")
    assert "The queue of the QueueJob 'orders' has not been read yet: Redis at 127.0.0.1:" in answer
    assert await reader.values(server) == answer, "no sum of what happens to be known"
    redis_server.start()
    await reader.until_values(server, {"orders": 5, "mails": 2})


async def test_a_new_password_is_read(
    namespace: Namespace, reader: Reader, start_redis: StartRedis, start_server: StartServer
) -> None:
    """Of an inline Redis, from its Secret: nobody tells that it has changed."""
    redis = start_redis(password="n3w")
    secret = {"kind": "Secret", "metadata": {"name": "redis"}, "stringData": {"password": "0ld"}}
    await namespace.create(secret)
    login = {"host": "127.0.0.1", "port": redis.port, "passwordSecretRef": {"name": "redis"}}
    await namespace.create(queuejob("orders", redis=login))
    server = await start_server()
    assert "user name or password are wrong" in await reader.values(server)
    await namespace.patch("Secret", "redis", {"stringData": {"password": "n3w"}})
    await reader.until_values(server, {"orders": 0}, limit=30)


async def test_a_restarted_server_says_nothing_before_it_knows(
    namespace: Namespace,
    server: Server,
    reader: Reader,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    start_server: StartServer,
) -> None:
    for name in ("orders", "mails"):
        await namespace.create(queuejob(name))
        await bullmq_node_6.queue(name).add_bulk(range(3))
    await reader.until_values(server, {"orders": 3, "mails": 3})
    assert await server.stop() == 0

    successor = await start_server(ready=False)

    await successor.event("port_open")
    first = await reader.values(successor)
    assert first == {"orders": "3", "mails": "3"} or "has not been read yet" in first
    await successor.event("server_started")
    assert await reader.values(successor) == {"orders": "3", "mails": "3"}


async def test_one_that_is_asked_to_end_goes_on_for_a_moment(
    namespace: Namespace, server: Server, reader: Reader
) -> None:
    """Until nobody sends requests here any more."""
    await namespace.create(queuejob("orders"))
    await reader.until_values(server, {"orders": 0})
    ending = asyncio.create_task(server.stop())
    while (await server.http("/readyz"))[0] == 200:  # noqa: ASYNC110 - it is only seen by looking
        await asyncio.sleep(INTERVAL_S)
    assert await reader.values(server) == {"orders": "0"}
    assert await ending == 0
