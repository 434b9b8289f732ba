"""Plain functions run in threads, which nobody can kill. Needs redis-server and Node 20."""

from __future__ import annotations

import time

import pytest

from tests.fixtures.node import BullmqNode
from tests.fixtures.worker import StartWorker
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def test_they_run_side_by_side_and_report(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    await queue.pause()
    worker = await start_worker("q", kind="plain", concurrency=4)
    ids = await queue.add_bulk([{"seconds": 0.3, "n": n} for n in range(4)])
    await queue.resume()
    await worker.event("worker_job_completed", 4)
    items = [await in_state(queue, one, "completed") for one in ids]
    assert [item.returnvalue["data"]["n"] for item in items] == [0, 1, 2, 3]
    assert [(item.progress, item.logs) for item in items] == [(50, ["begin"])] * 4
    finished = [item.finishedOn or 0 for item in items]
    assert max(finished) - min(finished) < 250


async def test_one_that_notices_its_timeout_leaves_nothing_behind(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="plain")
    item = await in_state(queue, await queue.add("x", {"seconds": 60, "polite": True}), "failed")
    assert item.failedReason == "Timed out: 'plain' allows 0.5 s for an attempt"
    assert (await worker.get("/healthz"))[0] == 200
    await in_state(queue, await queue.add("x", {"seconds": 0}), "completed")


async def test_one_that_does_not_keeps_its_place_until_it_ends(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="plain", worker_thread_grace_seconds=0.2)
    started = time.monotonic()
    stuck = await queue.add("x", {"seconds": 2.5})
    following = await queue.add("x", {"seconds": 0})
    item = await in_state(queue, stuck, "failed")
    assert "Timed out" in str(item.failedReason)
    assert time.monotonic() - started < 2
    status, text = await worker.get("/healthz")
    assert (status, text) == (503, "All 1 places are held by plain functions that did not end in time\n")
    assert "bullherd_worker_threads_left_behind 1.0" in (await worker.get("/metrics"))[1]
    await in_state(queue, following, "completed")
    assert time.monotonic() - started > 2.4
    assert (await worker.get("/healthz"))[0] == 200
