"""The web app's side, run with bullmq 5 and 6. Needs redis-server and Node 20 with npm."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from correction_aggregation.request import AggregationRequest
from correction_aggregation.time_range import TimeRange
from tests.fixtures.node import BullmqNode, NodeQueue
from tests.fixtures.redis import RedisServer, StartRedis, free_port
from tests.webapp.conftest import WEBAPP, WebApp

pytestmark = [pytest.mark.redis, pytest.mark.node]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOVEMBER_22 = TimeRange(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def queue(bullmq_node: BullmqNode) -> NodeQueue:
    return bullmq_node.queue("correction-aggregation")


async def test_triggering_gives_the_id_of_an_item_that_the_job_kind_understands(
    webapp: WebApp, queue: NodeQueue
) -> None:
    trigger = 'app.triggerImmediateCorrectionAggregation([new Date("2026-11-22"), new Date("2026-11-23")])'
    item = await queue.item(await webapp.call(trigger))
    assert item is not None
    assert (item.state, item.opts["attempts"]) == ("waiting", 8)
    assert item.opts["backoff"] == {"type": "exponential", "delay": 2000}
    assert item.data == {
        "type": "range",
        "startDate": "2026-11-22T00:00:00.000Z",
        "endDate": "2026-11-23T00:00:00.000Z",
    }
    assert AggregationRequest.model_validate(item.data).time_range(NOW) == NOVEMBER_22


async def test_iso_texts_do_as_well_as_dates(webapp: WebApp, queue: NodeQueue) -> None:
    item_id = await webapp.call(
        'app.triggerImmediateCorrectionAggregation(["2026-11-22", "2026-11-23T01:00+01:00"])'
    )
    item = await queue.item(item_id)
    assert item is not None
    assert AggregationRequest.model_validate(item.data).time_range(NOW) == NOVEMBER_22


@pytest.mark.parametrize("function", ["registerDailyAggregation", "registerDailyAggregationWithRepeat"])
async def test_the_daily_aggregation_waits_for_one_o_clock_once(
    webapp: WebApp, queue: NodeQueue, bullmq_node: BullmqNode, function: str
) -> None:
    if function.endswith("Repeat") and bullmq_node.major == "v6":
        await webapp.call(f"app.{function}()")
        assert await queue.items("delayed") == [], "bullmq 6 knows repeat again: mention it"
        return
    for _ in range(2):
        await webapp.call(f"app.{function}()")
    (item,) = await queue.items("delayed")
    due = datetime.fromtimestamp((item.timestamp + item.delay) / 1000, UTC)
    assert due.strftime("%H:%M:%S") == "01:00:00"
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1)
    assert item.name == "daily-aggregation"
    assert item.opts["repeat"]["pattern"] == "0 1 * * *"
    assert item.opts["attempts"] == 8
    assert AggregationRequest.model_validate(item.data).time_range(NOW) == TimeRange(
        datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    )


async def test_the_daily_aggregation_in_another_zone(webapp: WebApp, queue: NodeQueue) -> None:
    done = await webapp.demo("daily", "--time-zone", "Asia/Kathmandu")
    (item,) = await queue.items("delayed")
    due = datetime.fromtimestamp((item.timestamp + item.delay) / 1000, UTC)
    assert due.strftime("%H:%M") == "19:15"
    assert item.data == {"type": "daily", "timeZone": "Asia/Kathmandu"}
    assert datetime.fromisoformat(done.lines[0]["next"]) == due


async def test_the_demo_adds_ranges_that_follow_each_other(webapp: WebApp, queue: NodeQueue) -> None:
    done = await webapp.demo("add", "--jobs", "4", "--days-per-job", "7", "--last-day", "2026-11-22")
    assert (done.code, done.errors) == (0, "")
    assert [line["event"] for line in done.lines] == ["added"] * 4
    assert [(line["startDate"][:10], line["endDate"][:10]) for line in done.lines] == [
        ("2026-10-26", "2026-11-02"),
        ("2026-11-02", "2026-11-09"),
        ("2026-11-09", "2026-11-16"),
        ("2026-11-16", "2026-11-23"),
    ]
    assert [item.id for item in reversed(await queue.items("wait"))] == [line["id"] for line in done.lines]


async def test_the_demo_waits_for_results(webapp: WebApp, queue: NodeQueue) -> None:
    await queue.worker(concurrency=5)
    done = await webapp.demo("add", "--jobs", "40", "--wait", "30")
    assert (done.code, done.errors) == (0, "")
    added, completed = (
        {line["id"] for line in done.lines if line["event"] == what} for what in ("added", "completed")
    )
    assert len(added) == 40
    assert added == completed


async def test_the_demo_does_not_wait_longer_than_told(webapp: WebApp) -> None:
    done = await webapp.demo("add", "--jobs", "1", "--wait", "1")
    assert done.code == 1
    assert done.lines[-1]["event"] == "failed"
    assert "timed out" in done.lines[-1]["reason"]


async def test_without_redis_it_says_so_soon(webapp: WebApp) -> None:
    port = free_port()
    done = await webapp.demo("add", "--jobs", "1", REDIS_PORT=str(port))
    assert done.code == 2
    assert f"demo.js: connecting to Redis at 127.0.0.1:{port} took more than 5000 ms" in done.errors


@pytest.mark.parametrize(
    "arguments", [[], ["ad"], ["add", "--jobs", "0"], ["add", "--last-day", "yesterday"]]
)
async def test_a_command_that_makes_no_sense(webapp: WebApp, arguments: list[str]) -> None:
    done = await webapp.demo(*arguments)
    assert (done.code, done.lines) == (2, [])
    assert done.errors.startswith("demo.js: ")


@pytest.mark.parametrize("client_certificate", [False, True], ids=["tls", "mtls"])
async def test_a_redis_with_login_and_tls(
    webapp: WebApp, start_redis: StartRedis, client_certificate: bool
) -> None:
    server: RedisServer = start_redis(
        username="webapp", password="s3cret", db=2, tls=True, client_certificate=client_certificate
    )
    done = await webapp.demo("add", "--jobs", "3", **server.environment)
    assert (done.code, len(done.lines)) == (0, 3)
    assert await server.client().llen("bull:correction-aggregation:wait") == 3


def test_the_lock_file_fits_and_names_no_registry() -> None:
    package = json.loads((WEBAPP / "package.json").read_text())
    lock = json.loads((WEBAPP / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert "resolved" not in Path(WEBAPP / "package-lock.json").read_text()
