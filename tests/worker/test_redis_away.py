"""Redis restarts, freezes, loses replies or is not there yet: the worker waits, and goes on. Needs
redis-server, Node 20. Logins and TLS are in test_redis_login.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bullherd_worker.lua import load_scripts
from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker, until
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_a_restart_in_the_middle_of_an_item(
    bullmq_node: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node.queue("q")
    item_id = await queue.add("x", {"seconds": 0.6})
    worker = await start_worker("q", kind="sleep")
    await worker.event("sleep_job_start")
    redis_server.restart()
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsStarted, item.returnvalue) == (1, "slept")
    following = await queue.add("x", {"seconds": 0})
    item = await in_state(queue, following, "completed")
    assert item.processedOn is not None
    assert item.processedOn - item.timestamp < 1500
    await worker.event("redis_away")
    await worker.event("redis_back")


async def test_the_item_ends_while_redis_is_down(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 0.7})
    worker = await start_worker("q", kind="stubborn")
    await worker.event("stubborn_job_start")
    redis_server.stop()
    await worker.event("stubborn_job_complete")
    redis_server.start()
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsStarted, item.attemptsMade) == (1, 1)


async def test_down_for_longer_than_the_lock(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    """The item is not ours any more: cancelled, nothing reported, and it runs again."""
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 2.5})
    worker = await start_worker("q", kind="sleep", worker_lock_duration=1000, worker_stalled_interval=300)
    await worker.event("sleep_job_start")
    redis_server.stop()
    (lost,) = await worker.event("worker_item_lost")
    assert lost["reason"] == "Redis was away until its lock ran out"
    redis_server.start()
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsStarted, item.stalledCounter) == (2, 1)


async def test_a_frozen_redis_is_noticed(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="sleep", worker_reply_seconds=1, worker_redis_away_seconds=1)
    item_id = await queue.add("x", {"seconds": 0.5})
    await worker.event("sleep_job_start")
    redis_server.freeze()
    await worker.event("redis_away")
    frozen = time.monotonic()
    while (await worker.get("/healthz"))[0] == 200:
        assert time.monotonic() - frozen < 10
        await asyncio.sleep(0.2)
    assert "Redis has not answered for" in (await worker.get("/healthz"))[1]
    redis_server.thaw()
    await worker.event("redis_back")
    assert (await worker.get("/healthz"))[0] == 200
    assert (await in_state(queue, item_id, "completed")).attemptsMade == 1


async def test_no_redis_at_the_start(start_worker: StartWorker, redis_server: RedisServer) -> None:
    """It is healthy for as long as the setting says, then not, for want of Redis and nothing else."""
    redis_server.stop()
    worker = await start_worker(
        "q", kind="noop", modules=("tests.worker.kinds", "tests.worker.impatient_health"), ready=False,
        worker_redis_away_seconds=1,
    )  # fmt: skip
    (away,) = await worker.event("redis_away")
    assert "127.0.0.1" in away["problem"]

    async def unhealthy() -> bool:
        return (await worker.get("/healthz"))[0] == 503

    await until(unhealthy, every=0.1)
    text = (await worker.get("/healthz"))[1]
    assert re.fullmatch(r"Redis has not answered for \d s \(limit 1 s\)\n", text)
    redis_server.start()
    await worker.event("worker_started")
    assert await worker.get("/healthz") == (200, "ok\n")
    assert await worker.terminate() == 0


async def test_a_drain_before_redis_was_ever_there(
    start_worker: StartWorker, redis_server: RedisServer
) -> None:
    redis_server.stop()
    worker = await start_worker("q", kind="noop", ready=False)
    await worker.event("redis_away")
    assert await worker.terminate() == 0
    assert not worker.named("worker_started")
    assert not worker.named("worker_broken")


async def test_scripts_that_redis_forgot(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="noop")
    await redis_server.client().script_flush()
    await in_state(queue, await queue.add("x"), "completed")
    assert not worker.named("worker_fetch_refused")


async def test_a_redis_that_refuses_writes_is_waited_out(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    """A log line that is refused is dropped; a report is repeated, and the lock kept, until it is taken."""
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="sleep")
    item_id = await queue.add("x", {"seconds": 1})
    client = redis_server.client()

    async def has_begun() -> bool:
        return await client.llen(f"bull:q:{item_id}:logs") == 1

    await until(has_begun, what="the first line of the item's log")
    await client.config_set("min-replicas-to-write", 1)
    await worker.event("worker_report_refused", 2)
    await client.config_set("min-replicas-to-write", 0)
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsStarted, item.attemptsMade, item.logs) == (1, 1, ["begin"])
    assert len(await worker.event("worker_note_refused")) == 1
    await in_state(queue, await queue.add("x", {"seconds": 0}), "completed")


class CuttingProxy:
    """Passes Redis traffic through until a request holds ``cut_at``: that one still gets through, its reply
    does not.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server
        self.cut_at: bytes | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(self._copy(server, back))
        try:
            while data := await client.read(65536):
                forth.write(data)
                if self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    answers.cancel()
                    await asyncio.sleep(0.1)
                    return
        finally:
            answers.cancel()
            back.close()
            forth.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(redis_server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


async def test_a_claim_whose_reply_was_lost_is_given_back(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, proxy: CuttingProxy
) -> None:
    """Otherwise it waits half a minute for its lock to run out, and has stalled once."""
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="say", redis_port=proxy.port)
    await asyncio.sleep(0.3)
    proxy.cut_at = load_scripts()["moveToActive"].sha.encode()
    item = await in_state(queue, await queue.add("x"), "completed")
    assert item.finishedOn is not None
    assert item.finishedOn - item.timestamp < 3000
    assert (item.attemptsStarted, item.stalledCounter) == (2, 0)
    assert (await worker.event("worker_claims_given_back"))[0]["count"] == 1


async def test_a_report_whose_reply_was_lost_is_not_reported_twice(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, proxy: CuttingProxy
) -> None:
    """The lost reply may also have claimed the next item: that one is given back and run."""
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="sleep", redis_port=proxy.port)
    ids = await queue.add_bulk([{"seconds": 0.4}, {"seconds": 0}])
    await worker.event("sleep_job_start")
    proxy.cut_at = load_scripts()["moveToFinished"].sha.encode()
    items = [await in_state(queue, one, "completed") for one in ids]
    assert [item.attemptsMade for item in items] == [1, 1]
    assert [item.stalledCounter for item in items] == [0, 0]
    (lost,) = await worker.event("worker_item_lost")
    assert lost["uncertain"] is True
    assert lost["jobId"] == ids[0]
