"""The queues of QueueJobs by namespace and selector, and what is known of them. Needs nothing; tests/server
has them with real Redis servers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bullherd.controllers.connections import Connections
from bullherd.controllers.following import RETRY_UNREADABLE
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.resync import Resync
from bullherd.core.label_selector import LabelSelector
from bullherd.kube.client import KubernetesError
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.server.queues import WatchedQueues
from bullherd.telemetry.health import Pulse
from tests.unit.builders import body
from tests.unit.controllers.cluster import AWAY, Redis
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

KEY = ("shop", "emails")


class Watched:
    """The queues of an API server in memory; connections are real files."""

    def __init__(self, folder: Path, *namespaces: str) -> None:
        (folder / "default.yaml").write_text("host: redis\nnamespaces: ['*']\n")
        self.folder = folder
        self.api = FakeKubernetes()
        self.redis = Redis()
        self.registry = Registry(lambda key: None)
        self.connections = Connections(self.api, folder)
        self.resync = Resync(self.api, self.registry, namespaces, 60, Pulse("watch", 240))
        self.queues = WatchedQueues(self.registry, self.connections, self.redis, self.resync)

    async def put(self, name: str = "emails", **changes: Any) -> float | None:
        """A QueueJob comes or changes; seconds until another look is due."""
        await self.connections.reload()
        stored = self.api.put(QUEUEJOBS, body(name, queue=changes.pop("queue", name), **changes))
        self.registry.put_job(stored)
        return await self.queues.follow((stored["metadata"]["namespace"], name))

    async def go(self, key: JobKey = KEY) -> None:
        self.registry.remove_job(key)
        await self.queues.follow(key)

    def selected(
        self, selector: str = "", namespace: str = "shop"
    ) -> dict[str, tuple[int | None, str | None]]:
        """Backlog and problem by QueueJob."""
        return {
            queue.labels["queuejob"]: (queue.snapshot.backlog if queue.snapshot else None, queue.problem)
            for queue in self.queues.select(namespace, LabelSelector.parse(selector))
        }


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_each_namespace_has_its_own(watched: Watched) -> None:
    watched.redis.shows("emails", waiting=1)
    watched.redis.shows("sms", waiting=2)
    await watched.put("emails")
    await watched.put("sms")
    await watched.put("emails", namespace="mail")
    assert watched.selected() == {"emails": (1, None), "sms": (2, None)}
    assert watched.selected("queuejob=sms") == {"sms": (2, None)}
    assert watched.selected("queuejob in (sms,no-such),queue=emails") == {}
    assert watched.selected(namespace="mail") == {"emails": (1, None)}
    assert watched.selected(namespace="else") == {}
    await watched.go()
    assert watched.selected() == {"sms": (2, None)}
    assert watched.selected(namespace="mail") == {"emails": (1, None)}


async def test_one_that_is_being_deleted_is_gone(watched: Watched) -> None:
    watched.redis.shows(waiting=1)
    await watched.put()
    stored = body(version=900) | {}
    stored["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    watched.registry.put_job(stored)
    await watched.queues.follow(KEY)
    assert watched.selected() == {}
    assert watched.redis.followed_by == {}


async def test_one_without_a_connection_says_why_and_is_looked_at_again(watched: Watched) -> None:
    assert await watched.put(redis={"connection": "no-such"}) == RETRY_UNREADABLE
    ((backlog, problem),) = watched.selected().values()
    assert backlog is None
    assert problem is not None
    assert "There is no connection 'no-such'" in problem
    assert watched.redis.followed_by == {}
    assert await watched.put(version=999, generation=2) is None
    assert watched.redis.followed_by.keys() == {KEY}


async def test_one_that_cannot_be_understood_is_known_by_its_name_alone(watched: Watched) -> None:
    watched.redis.shows(waiting=1)
    await watched.put()
    await watched.put(concurrency="many", version=999, generation=2)
    (problem,) = (problem for _, problem in watched.selected().values())
    assert problem is not None
    assert "spec.concurrency" in problem
    assert watched.selected("queuejob=emails").keys() == {"emails"}
    assert watched.selected("queue=emails") == {}
    assert watched.redis.followed_by == {}


async def test_the_last_value_stays_with_the_reason_why_there_is_no_newer_one(watched: Watched) -> None:
    watched.redis.shows(waiting=3)
    await watched.put()
    watched.redis.is_away()
    assert watched.queues.seen(KEY)
    assert watched.selected() == {"emails": (3, AWAY)}
    assert await watched.queues.follow(KEY) == RETRY_UNREADABLE


@pytest.mark.parametrize(
    ("counts", "rests"),
    [({}, True), ({"delayed": 1}, True), ({"waiting": 1}, False), ({"active": 1}, False)],
)
async def test_only_an_empty_queue_may_rest(watched: Watched, counts: dict[str, int], rests: bool) -> None:
    await watched.put()
    watched.redis.shows(**counts)
    assert not watched.queues.seen(KEY)
    assert watched.redis.asleep == {KEY: rests}


async def test_all_are_waited_for_once(watched: Watched) -> None:
    for name in ("emails", "sms"):
        await watched.put(name)
    await watched.put("broken", redis={"connection": "no-such"})
    reading = asyncio.create_task(watched.queues.read_once())
    watched.redis.shows("emails")
    watched.queues.seen(KEY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    watched.redis.is_away("sms")
    watched.queues.seen(("shop", "sms"))
    await asyncio.wait_for(reading, 1)


async def test_one_that_the_api_server_does_not_answer_for_holds_up_no_other(watched: Watched) -> None:
    login = {"host": "redis", "passwordSecretRef": {"name": "login"}}
    for name, redis in (("emails", {"connection": "default"}), ("sms", login)):
        watched.registry.put_job(watched.api.put(QUEUEJOBS, body(name, queue=name, redis=redis)))
    await watched.connections.reload()
    watched.api.refuses = lambda *_: KubernetesError(0, "away")
    await watched.queues.follow_all()
    assert watched.redis.followed_by.keys() == {KEY}


async def test_what_is_not_watched_or_listed_is_not_known(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "shop", "mail")
    really = watched.api.list

    async def listed(resource: Any, namespace: str | None = None, labels: Any = None) -> Any:
        if namespace == "mail":
            raise KubernetesError(403, "forbidden")
        return await really(resource, namespace, labels)

    watched.api.list = listed  # type: ignore[method-assign]
    await watched.resync.first()
    assert watched.queues.refusal("shop") is None
    told = {namespace: watched.queues.refusal(namespace) for namespace in ("mail", "else")}
    assert {namespace: one.code for namespace, one in told.items() if one} == {"mail": 503, "else": 404}


async def test_the_oldest_reading_counts(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bullherd.server.queues.time.time", lambda: 1000.0)
    assert watched.queues.oldest_reading_age() == 0
    for name, at in (("emails", 990.0), ("sms", 970.0), ("faxes", None)):
        await watched.put(name)
        if at is not None:
            watched.redis.shows(name, taken_at=at)
    assert watched.queues.oldest_reading_age() == 30
