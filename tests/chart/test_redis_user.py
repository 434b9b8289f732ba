"""The Redis user of docs/connections.md is enough for apps and workers. Needs redis-server, Node 20, npm."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bullherd.bullmq import OPERATOR_ACL
from tests.chart.guides import CONNECTIONS, blocks
from tests.fixtures.node import StartNode
from tests.fixtures.redis import RedisServer, StartRedis
from tests.fixtures.worker import StartWorker

pytestmark = [pytest.mark.redis, pytest.mark.node]

ADMIN = ("--user", "admin", "on", ">admin", "~*", "&*", "+@all")


def rules() -> list[str]:
    """The page's words after the user's name."""
    (acl,) = blocks(CONNECTIONS, "acl")
    words = acl.split()
    assert words[:3] == ["ACL", "SETUSER", "bullherd"]
    return words[3:]


@pytest.fixture
def admin(start_redis: StartRedis) -> tuple[RedisServer, Any]:
    """A Redis that knows the page's user, and somebody who may read its ACL LOG."""
    server = start_redis(username="bullherd", password="change-me", options=ADMIN)
    client: Any = redis.Redis(port=server.port, username="admin", password="admin", decode_responses=True)
    version = tuple(int(part) for part in client.info()["redis_version"].split(".")[:2])
    words = [word for word in rules() if version >= (7, 2) or word != "+client|setinfo"]
    client.execute_command("ACL", "SETUSER", "bullherd", "reset", *words)
    client.execute_command("ACL", "LOG", "RESET")
    return server, client


def test_it_has_every_right_of_the_operator() -> None:
    assert set(OPERATOR_ACL.split()) <= set(rules())


@pytest.mark.parametrize("major", ["v5", "v6"])
async def test_nothing_that_web_app_and_workers_do_is_refused(
    admin: Any, start_node: StartNode, start_worker: StartWorker, major: Any
) -> None:
    server, client = admin
    node = await start_node(major, server)
    queue = node.queue("mail")
    plain = await queue.add("echo", {"return": 1})
    later = await queue.add(
        "echo", {"failTimes": 1}, delay=50, attempts=2, backoff={"type": "fixed", "delay": 10}
    )
    first = await queue.add("echo", {"log": ["a line"], "sleep": 0.1}, priority=1)
    await queue.add_bulk([{"failForGood": "no"}, {}], lifo=True)
    await queue.call("upsertJobScheduler", "often", {"every": 100}, {"name": "echo", "data": {}})
    await queue.pause()
    await queue.resume()
    await queue.counts()
    await queue.call("getWorkers")

    worker = await start_worker("mail", kind="echo", modules=("bullherd_worker.kinds.echo",), server=server)
    for item in (plain, later, first):
        await queue.wait_until_finished(item, limit=20)
    await worker.event("worker_job_completed", count=6)
    await worker.terminate()

    node_worker = await queue.worker(concurrency=2)
    await queue.wait_until_finished(await queue.add("item", {"return": 2}), limit=20)
    await queue.call("removeJobScheduler", "often")
    await node_worker.close()
    await queue.call("drain")
    await queue.call("obliterate", {"force": True})
    assert [entry["object"] for entry in client.execute_command("ACL", "LOG")] == []
