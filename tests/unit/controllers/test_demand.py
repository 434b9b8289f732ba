"""Which QueueJob follows which queue on which server. Needs nothing; the servers are stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.registry import JobKey
from bullherd.controllers.server_watch import Reading, WatchIntervals
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics

A, B = ("shop", "a"), ("shop", "b")
HERE, THERE = RedisEndpoint("here"), RedisEndpoint("there")
EMAILS, SMS = QueueKey("bull", "emails"), QueueKey("bull", "sms")


class Server:
    """A ServerWatch that only remembers; ``all`` has every one that was started."""

    all: list[Server]

    def __init__(self, endpoint: RedisEndpoint, changed: Callable[[QueueKey], None], *_: object) -> None:
        self.endpoint = endpoint
        self.changed = changed
        self.queues: set[QueueKey] = set()
        self.asleep: set[QueueKey] = set()
        self.runs = False
        Server.all.append(self)

    async def run(self) -> None:
        self.runs = True
        try:
            await asyncio.Event().wait()
        finally:
            self.runs = False

    def add(self, queue: QueueKey) -> None:
        self.queues.add(queue)

    def remove(self, queue: QueueKey) -> None:
        self.queues.discard(queue)

    def set_asleep(self, queue: QueueKey, asleep: bool) -> None:
        (self.asleep.add if asleep else self.asleep.discard)(queue)

    def reading(self, queue: QueueKey) -> Reading:
        assert queue in self.queues
        return Reading(problem=f"{self.endpoint.host} {queue.name}")


@pytest.fixture
def woken() -> list[JobKey]:
    return []


@pytest.fixture
def metrics() -> OperatorMetrics:
    return OperatorMetrics()


@pytest.fixture
async def demand(
    monkeypatch: pytest.MonkeyPatch, woken: list[JobKey], metrics: OperatorMetrics
) -> AsyncIterator[DemandWatch]:
    Server.all = []
    monkeypatch.setattr("bullherd.controllers.demand.ServerWatch", Server)
    intervals = WatchIntervals(tick=1, stalled_check=30, max_stalled_count=1)
    async with DemandWatch(woken.append, intervals, Health(), metrics) as watch:
        yield watch
    assert not any(server.runs for server in Server.all), "leaving ends every loop"


async def settle() -> None:
    """Let tasks that were just made or cancelled take their turn."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_queues_of_one_server_share_its_watch(demand: DemandWatch) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.follow(B, HERE, SMS)
    await settle()
    (server,) = Server.all
    assert server.runs
    assert server.queues == {EMAILS, SMS}


async def test_another_login_is_another_watch(demand: DemandWatch) -> None:
    demand.follow(A, RedisEndpoint("here", username="a"), EMAILS)
    demand.follow(B, RedisEndpoint("here", username="b"), SMS)
    assert len(Server.all) == 2


async def test_following_the_same_again_changes_nothing(demand: DemandWatch) -> None:
    for _ in range(3):
        demand.follow(A, HERE, EMAILS)
    assert len(Server.all) == 1


async def test_a_server_without_queues_is_watched_no_more(demand: DemandWatch) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.follow(B, HERE, SMS)
    await settle()
    demand.forget(A)
    await settle()
    assert Server.all[0].runs
    demand.forget(B)
    await settle()
    assert not Server.all[0].runs


async def test_one_that_moves_leaves_its_old_server(demand: DemandWatch) -> None:
    demand.follow(A, HERE, EMAILS)
    await settle()
    demand.follow(A, THERE, EMAILS)
    await settle()
    assert [(server.endpoint, server.runs) for server in Server.all] == [(HERE, False), (THERE, True)]
    assert demand.reading(A).problem == "there emails"


async def test_a_server_may_be_left_and_joined_again(demand: DemandWatch) -> None:
    demand.follow(A, HERE, EMAILS)
    await settle()
    demand.forget(A)
    demand.follow(A, HERE, EMAILS)
    await settle()
    assert [server.runs for server in Server.all] == [False, True]


async def test_the_owner_of_what_changed_is_woken(demand: DemandWatch, woken: list[JobKey]) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.follow(B, HERE, SMS)
    Server.all[0].changed(SMS)
    assert woken == [B]


async def test_nobody_is_woken_for_a_queue_that_was_let_go(demand: DemandWatch, woken: list[JobKey]) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.forget(A)
    Server.all[0].changed(EMAILS)
    assert woken == []


async def test_nothing_is_known_of_what_is_not_followed(demand: DemandWatch) -> None:
    assert demand.reading(A) == Reading()
    demand.set_asleep(A, asleep=True)
    demand.forget(A)


async def test_sleep_is_a_matter_of_the_queue(demand: DemandWatch) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.set_asleep(A, asleep=True)
    assert Server.all[0].asleep == {EMAILS}
    demand.set_asleep(A, asleep=False)
    assert Server.all[0].asleep == set()


@pytest.mark.parametrize(("leaves", "stays"), [(A, B), (B, A)], ids=["the first", "the second"])
async def test_of_two_that_follow_one_queue_either_may_leave(
    demand: DemandWatch, woken: list[JobKey], leaves: JobKey, stays: JobKey
) -> None:
    demand.follow(A, HERE, EMAILS)
    demand.follow(B, HERE, EMAILS)
    await settle()
    (server,) = Server.all
    server.changed(EMAILS)
    assert sorted(woken) == [A, B]
    woken.clear()

    demand.forget(leaves)
    await settle()
    assert server.queues == {EMAILS}
    assert server.runs
    server.changed(EMAILS)
    assert woken == [stays]
    assert demand.reading(stays).problem == "here emails"
    assert demand.reading(leaves) == Reading()

    demand.forget(stays)
    await settle()
    assert not server.runs


async def test_a_server_leaves_the_metrics_when_nobody_reads_it(
    demand: DemandWatch, metrics: OperatorMetrics
) -> None:
    demand.follow(A, RedisEndpoint("here", username="a"), EMAILS)
    demand.follow(B, RedisEndpoint("here", username="b"), SMS)
    await settle()
    metrics.redis_read_seconds.labels("here:6379/0").observe(0.1)
    metrics.redis_read_errors.labels("here:6379/0").inc()
    metrics.redis_up.labels("here:6379/0").set(1)
    demand.forget(A)
    await settle()
    assert b"here:6379/0" in metrics.render()
    demand.forget(B)
    await settle()
    assert b"here:6379/0" not in metrics.render()
