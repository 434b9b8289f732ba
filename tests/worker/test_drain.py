"""SIGTERM: running items finish, or go back with no attempt counted. Needs redis-server and Node 20."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bullherd_worker.lua import load_scripts
from tests.fixtures.node import BullmqNode
from tests.fixtures.redis import RedisServer
from tests.fixtures.worker import StartWorker
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_running_items_finish_and_waiting_ones_stay(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node.queue("q")
    ids = await queue.add_bulk([{"seconds": 0.5}] * 5)
    worker = await start_worker("q", kind="sleep", concurrency=2)
    await worker.event("sleep_job_start", 2)
    assert await worker.terminate() == 0
    assert [(await queue.item(one)).state for one in ids] == ["completed"] * 2 + ["waiting"] * 3  # type: ignore[union-attr]
    assert (await queue.counts())["active"] == 0
    assert worker.events[-1]["event"] == "worker_stopped"


async def test_what_does_not_finish_in_time_goes_back_unburnt(
    bullmq_node: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    queue = bullmq_node.queue("q")
    plain = await queue.add("x", {"seconds": 60}, attempts=1)
    urgent = await queue.add("x", {"seconds": 60}, attempts=1, priority=3)
    behind = await queue.add("x", {"seconds": 60})
    worker = await start_worker("q", kind="sleep", concurrency=2, worker_drain_seconds=0.3)
    # Plain items go first, whatever the priority of others: `behind` runs beside `plain`.
    await worker.event("sleep_job_start", 2)
    asked = time.monotonic()
    assert await worker.terminate() == 0
    assert time.monotonic() - asked < 3
    for item_id, state in ((plain, "waiting"), (behind, "waiting"), (urgent, "prioritized")):
        item = await queue.item(item_id)
        assert item is not None
        assert (item.state, item.attemptsMade, item.stalledCounter) == (state, 0, 0)
    assert {one["jobId"] for one in worker.named("worker_item_given_back")} == {plain, behind}
    assert await redis_server.client().keys("bull:q:*:lock") == []


async def test_a_prioritized_item_goes_back_to_its_priority(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node.queue("q")
    item_id = await queue.add("x", {"seconds": 60}, priority=3)
    worker = await start_worker("q", kind="sleep", worker_drain_seconds=0.1)
    await worker.event("sleep_job_start")
    assert await worker.terminate() == 0
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.priority, item.attemptsMade) == ("prioritized", 3, 0)


@pytest.mark.parametrize("priority", [0, 3])
async def test_another_worker_takes_it_at_once(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, priority: int
) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 60}, priority=priority)
    leaving = await start_worker("q", kind="sleep", worker_drain_seconds=0.1)
    await leaving.event("sleep_job_start")
    await start_worker("q", kind="say")
    assert await leaving.terminate() == 0
    ended = time.time() * 1000
    item = await in_state(queue, item_id, "completed")
    assert item.finishedOn is not None
    assert item.finishedOn - ended < 500
    assert item.returnvalue["attempt"] == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [("stubborn", {"seconds": 30}), ("plain", {"seconds": 30})],
    ids=["ignores cancel", "thread"],
)
async def test_handlers_that_do_not_stop_do_not_hold_it_up(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, kind: str, data: dict[str, float]
) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", data)
    settings = {"worker_drain_seconds": 0.1, "worker_thread_grace_seconds": 60}
    worker = await start_worker("q", kind=kind, **settings)
    await worker.event(f"{kind}_job_start")
    asked = time.monotonic()
    assert await worker.terminate() == 0
    assert time.monotonic() - asked < 5
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.attemptsMade) == ("waiting", 0)


async def test_a_second_signal_hurries(bullmq_node_6: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node_6.queue("q")
    item_id = await queue.add("x", {"seconds": 60})
    worker = await start_worker("q", kind="sleep")
    await worker.event("sleep_job_start")
    worker.signal(signal.SIGTERM)
    await worker.event("worker_draining")
    await asyncio.sleep(0.3)
    assert await worker.terminate(limit=5) == 0
    item = await queue.item(item_id)
    assert item is not None
    assert item.state == "waiting"


async def test_an_idle_worker_ends_at_once(start_worker: StartWorker) -> None:
    worker = await start_worker("q", kind="noop")
    await asyncio.sleep(0.2)
    asked = time.monotonic()
    assert await worker.terminate() == 0
    assert time.monotonic() - asked < 1.5


async def test_it_ends_in_time_without_redis(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: RedisServer
) -> None:
    """The item cannot be reported nor given back; its lock runs out, and the stalled check brings it back."""
    worker = await start_worker("q", kind="sleep", worker_drain_seconds=0.3)
    await bullmq_node_6.queue("q").add("x", {"seconds": 60})
    await worker.event("sleep_job_start")
    redis_server.stop()
    asked = time.monotonic()
    assert await worker.terminate() == 0
    assert time.monotonic() - asked < 6
    assert worker.named("worker_give_back_failed")


class HoldingProxy:
    """Passes Redis traffic through. Once a request holds ``hold_at``, the answers on its connection wait for
    ``release``.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._released = asyncio.Event()
        self._server: asyncio.Server
        self.hold_at: bytes | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.release()
        self._server.close()

    def release(self) -> None:
        self._released.set()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection("127.0.0.1", self._target)
        held = False

        async def answer() -> None:
            while data := await server.read(65536):
                if held:
                    await self._released.wait()
                back.write(data)

        answers = asyncio.create_task(answer())
        while data := await client.read(65536):
            held = held or (self.hold_at is not None and self.hold_at in data)
            forth.write(data)
        answers.cancel()
        forth.close()
        back.close()


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[HoldingProxy]:
    proxy = HoldingProxy(redis_server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


async def test_a_claim_that_is_under_way_is_given_back(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, proxy: HoldingProxy
) -> None:
    """Otherwise its item waits half a minute for the lock to run out, and has stalled once."""
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="noop", redis_port=proxy.port)
    await asyncio.sleep(0.3)  # until it waits for work
    proxy.hold_at = load_scripts()["moveToActive"].sha.encode()
    item_id = await queue.add("x")
    await in_state(queue, item_id, "active")
    worker.signal(signal.SIGTERM)
    await worker.event("worker_draining")
    proxy.release()
    assert await worker.ended() == 0
    item = await queue.item(item_id)
    assert item is not None
    assert (item.state, item.attemptsMade, item.stalledCounter) == ("waiting", 0, 0)
    assert worker.named("worker_item_given_back")
