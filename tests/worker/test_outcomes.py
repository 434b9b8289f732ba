"""How items end, as the web app sees it with bullmq 5 and 6. Needs redis-server and Node 20."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fixtures.node import BullmqNode, Item, NodeError, NodeQueue
from tests.fixtures.worker import StartWorker, WorkerProcess, until

pytestmark = [pytest.mark.redis, pytest.mark.node]


async def in_state(queue: NodeQueue, item_id: str, state: str) -> Item:
    """The item, once it is in ``state``."""

    async def there() -> bool:
        item = await queue.item(item_id)
        return item is not None and item.state == state

    await until(there, limit=15, what=f"item {item_id} in {state}")
    item = await queue.item(item_id)
    assert item is not None
    return item


async def test_node_waits_for_the_result(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    worker = await start_worker("letters", kind="say")
    queue = bullmq_node.queue("letters")
    item_id = await queue.add("hello", {"text": "příliš žluťoučký"})
    assert await queue.wait_until_finished(item_id, limit=10) == {
        "data": {"text": "příliš žluťoučký"},
        "id": item_id,
        "name": "hello",
        "attempt": 1,
        "queue": "letters",
    }
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsMade, item.attemptsStarted) == (1, 1)
    assert item.finishedOn is not None
    assert item.processedOn is not None
    assert item.finishedOn >= item.processedOn >= item.timestamp
    for event in ("say_job_start", "say_job_complete", "worker_job_completed"):
        assert [one["jobId"] for one in await worker.event(event)] == [item_id]
    assert await worker.terminate() == 0


async def test_retries_until_it_works(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    worker = await start_worker("q", kind="fail")
    queue = bullmq_node.queue("q")
    backoff = {"type": "exponential", "delay": 100}
    item_id = await queue.add("x", {"times": 3}, attempts=4, backoff=backoff, stackTraceLimit=2)
    assert await queue.wait_until_finished(item_id, limit=10) == "done at attempt 4"
    item = await in_state(queue, item_id, "completed")
    assert (item.attemptsMade, item.attemptsStarted) == (4, 4)
    assert item.failedReason == "as told"
    assert item.stacktrace is not None
    assert len(item.stacktrace) == 2
    assert item.stacktrace[0].startswith("Traceback")
    assert "ValueError: as told" in item.stacktrace[0]
    assert [one["retryInMs"] for one in await worker.event("worker_job_failed", 3)] == [100, 200, 400]


@pytest.mark.parametrize(
    ("backoff", "times"), [(None, 2), ({"type": "fixed", "delay": 50, "jitter": 0.5}, 2)]
)
async def test_attempts_run_out(
    bullmq_node: BullmqNode, start_worker: StartWorker, backoff: dict[str, object] | None, times: int
) -> None:
    worker = await start_worker("q", kind="fail")
    queue = bullmq_node.queue("q")
    options = {"attempts": times} | ({} if backoff is None else {"backoff": backoff})
    item_id = await queue.add("x", {"times": 99, "reason": "no luck"}, **options)
    with pytest.raises(NodeError, match="no luck"):
        await queue.wait_until_finished(item_id, limit=10)
    item = await in_state(queue, item_id, "failed")
    assert (item.attemptsMade, item.failedReason) == (times, "no luck")
    assert item.stacktrace is not None
    assert ["ValueError: no luck" in trace for trace in item.stacktrace] == [True] * times
    assert [one["final"] for one in await worker.event("worker_job_failed", 2)] == [False, True]


async def test_unrecoverable_is_final(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    worker = await start_worker("q", kind="fail")
    queue = bullmq_node.queue("q")
    item_id = await queue.add("x", {"times": 99, "forGood": True, "reason": "hopeless"}, attempts=10)
    item = await in_state(queue, item_id, "failed")
    assert (item.attemptsMade, item.failedReason) == (1, "hopeless")
    assert (await worker.event("worker_job_failed"))[0]["reason"] == "hopeless"


async def test_bad_data_fail_with_field_and_reason_and_no_retry(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    worker = await start_worker("q", kind="order")
    queue = bullmq_node.queue("q")
    bad = await queue.add("x", {"kind": "small", "count": "secret-4711"}, attempts=5)
    good = await queue.add("x", {"kind": "small", "count": 4}, attempts=5)
    misfit = await queue.add("x", {"kind": "small", "count": 13}, attempts=5)
    item = await in_state(queue, bad, "failed")
    assert item.attemptsMade == 1
    assert item.failedReason is not None
    assert "count: Input should be a valid integer" in item.failedReason
    assert (await in_state(queue, good, "completed")).returnvalue == {"totalCount": 8}
    item = await in_state(queue, misfit, "failed")
    assert item.attemptsMade == 1
    assert "totalCount" in str(item.failedReason)
    assert await worker.terminate() == 0
    assert "secret-4711" not in "\n".join(worker.raw)


async def test_private_error_messages_stay_out_of_the_logs(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    worker = await start_worker("q", kind="fail")
    item_id = await bullmq_node_6.queue("q").add("x", {"times": 1, "reason": "jane@example.com is unknown"})
    await in_state(bullmq_node_6.queue("q"), item_id, "failed")
    assert await worker.terminate() == 0
    (error,) = worker.named("fail_job_error")
    assert error["error"] == "ValueError"
    assert error["where"].endswith(" fail")
    assert "jane" not in "\n".join(worker.raw)


async def test_a_timeout_counts_as_an_attempt(bullmq_node_6: BullmqNode, start_worker: StartWorker) -> None:
    await start_worker("q", kind="brief")
    queue = bullmq_node_6.queue("q")
    slow = await queue.add("x", {"seconds": 30}, attempts=2)
    quick = await queue.add("x", {"seconds": 0})
    item = await in_state(queue, slow, "failed")
    assert item.failedReason == "Timed out: 'brief' allows 0.3 s for an attempt"
    assert item.attemptsMade == 2
    assert (await in_state(queue, quick, "completed")).returnvalue == "in time"


async def test_progress_and_logs(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    await start_worker("q", kind="echo", modules=("bullherd_worker.kinds.echo",))
    queue = bullmq_node.queue("q")
    data = {"log": ["one", "two", "three"], "sleep": 0.2, "return": {"ok": True}}
    item_id = await queue.add("x", data, keepLogs=2)
    assert await queue.wait_until_finished(item_id, limit=10) == {"ok": True}
    item = await in_state(queue, item_id, "completed")
    assert item.progress == 100
    assert item.logs == ["two", "three"]


async def test_finished_items_are_kept_as_their_options_say(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    worker = await start_worker("q", kind="fail", concurrency=1)
    queue = bullmq_node.queue("q")
    gone = await queue.add("x", {"times": 0}, removeOnComplete=True)
    gone_failed = await queue.add("x", {"times": 1}, removeOnFail=True)
    kept = [await queue.add("x", {"times": 0}, removeOnComplete={"count": 2}) for _ in range(4)]
    await worker.event("worker_job_completed", 5)
    assert await queue.item(gone) is None
    assert await queue.item(gone_failed) is None
    assert [one is not None for one in [await queue.item(item_id) for item_id in kept]] == [
        False,
        False,
        True,
        True,
    ]


async def test_priorities_lifo_and_delays(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    await queue.pause()
    worker = await start_worker("q", kind="say")
    low = await queue.add("low", priority=10)
    high = await queue.add("high", priority=1)
    first = await queue.add("first")
    last_in = await queue.add("last in", lifo=True)
    late = await queue.add("late", delay=500)
    await queue.resume()
    done = [one["jobId"] for one in await worker.event("worker_job_completed", 5)]
    assert done == [last_in, first, high, low, late]


async def test_a_paused_queue_is_left_alone(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    queue = bullmq_node.queue("q")
    await queue.pause()
    item_id = await queue.add("x")
    worker = await start_worker("q", kind="say")
    await asyncio.sleep(0.5)
    assert not worker.named("say_job_start")
    resumed = time.monotonic()
    await queue.resume()
    assert (await queue.wait_until_finished(item_id, limit=10))["id"] == item_id
    assert time.monotonic() - resumed < 2


async def test_global_concurrency_holds_over_two_workers(
    bullmq_node: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node.queue("q")
    await queue.call("setGlobalConcurrency", 2)
    await queue.pause()
    for _ in range(2):
        await start_worker("q", kind="sleep", concurrency=5)
    ids = await queue.add_bulk([{"seconds": 0.2}] * 8)
    await queue.resume()
    most = 0
    while len(await queue.items("completed")) < len(ids):
        most = max(most, (await queue.counts())["active"])
        await asyncio.sleep(0.02)
    assert most == 2
    assert [(await queue.item(one)).attemptsStarted for one in ids] == [1] * 8  # type: ignore[union-attr]


async def test_deduplicated_items_and_their_successors(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    queue = bullmq_node_6.queue("q")
    worker = await start_worker("q", kind="sleep")
    options = {"deduplication": {"id": "one", "keepLastIfActive": True}}
    await queue.add("x", {"seconds": 0.5}, **options)
    await worker.event("sleep_job_start")
    await queue.add("x", {"seconds": 0.01}, **options)
    await queue.add("x", {"seconds": 0.02}, **options)
    await worker.event("worker_job_completed", 2)
    assert [one.data["seconds"] for one in await queue.items("completed")][:1] == [0.02]


async def test_an_item_with_deferred_failure_fails_without_running(
    bullmq_node: BullmqNode, start_worker: StartWorker, redis_server: object
) -> None:
    queue = bullmq_node.queue("q")
    await queue.pause()
    item_id = await queue.add("x", {"times": 0}, attempts=5)
    client = redis_server.client()  # type: ignore[attr-defined]
    await client.hset(f"bull:q:{item_id}", "defa", "job stalled more than allowable limit")
    await queue.resume()
    worker = await start_worker("q", kind="fail")
    item = await in_state(queue, item_id, "failed")
    assert item.failedReason == "job stalled more than allowable limit"
    assert item.attemptsMade == 1
    assert not worker.named("fail_job_start")
    assert await client.hexists(f"bull:q:{item_id}", "defa") == 0


async def test_events_are_trimmed(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, redis_server: object
) -> None:
    queue = bullmq_node_6.queue("q")
    client = redis_server.client()  # type: ignore[attr-defined]
    await queue.add("x")
    await client.hset("bull:q:meta", "opts.maxLenEvents", 100)
    await queue.add_bulk([{}] * 500)
    worker = await start_worker("q", kind="noop", concurrency=20, worker_log_level="info")
    await worker.event("worker_job_completed", 501)
    assert await client.xlen("bull:q:events") < 300


async def test_node_lists_the_worker(bullmq_node: BullmqNode, start_worker: StartWorker) -> None:
    await start_worker("q", kind="noop")
    workers = await bullmq_node.queue("q").call("getWorkers")
    assert len(workers) == 1
    assert workers[0]["rawname"].endswith(":w:pod-0")


async def test_all_of_it_is_in_the_metrics(bullmq_node_6: BullmqNode, start_worker: StartWorker) -> None:
    worker: WorkerProcess = await start_worker("q", kind="fail")
    queue = bullmq_node_6.queue("q")
    await queue.add("x", {"times": 1}, attempts=2)
    await queue.add("x", {"times": 1})
    await worker.event("worker_job_completed", 1)
    await worker.event("worker_job_failed", 2)
    status, text = await worker.get("/metrics")
    assert status == 200
    for outcome, count in (("completed", 1), ("retried", 1), ("failed", 1)):
        line = f'bullherd_worker_attempts_total{{kind="fail",outcome="{outcome}",queue="q"}} {count}.0'
        assert line in text
    assert "bullherd_worker_redis_up 1.0" in text
    assert (await worker.get("/healthz"))[0] == 200


async def test_warnings_of_libraries_are_json_too(
    bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    worker = await start_worker("q", kind="warns")
    await bullmq_node_6.queue("q").add("x")
    (line,) = await worker.event("low on ink")
    assert (line["level"], line["logger"]) == ("warning", "some.library")
    assert line["time"]
