"""The safety net under the watches, on virtual time. Needs nothing.

The test plays the watch: it hands the registry what the fake API server stores, or does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from bullherd.controllers.registry import JobKey, Registry, key_of
from bullherd.controllers.resync import Resync
from bullherd.kube.client import Body, KubernetesError
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.telemetry.health import Pulse
from tests.unit.builders import body
from tests.unit.controllers.fake_kubernetes import FakeKubernetes
from tests.unit.virtual_time import in_virtual_time, now

INTERVAL = 60.0


class CountedPulse(Pulse):
    """Counts its beats, for virtual time is none that it knows."""

    beats = 0

    def beat(self) -> None:
        self.beats += 1


@dataclass
class Cluster:
    """An API server, a watch that may be silent or slow, and the registry that it feeds."""

    api: FakeKubernetes = field(default_factory=FakeKubernetes)
    pulse: CountedPulse = field(default_factory=lambda: CountedPulse("watch", 240))
    woken: list[JobKey] = field(default_factory=list)
    watch_delay: float | None = 0.0

    def __post_init__(self) -> None:
        self.registry = Registry(self.woken.append)
        self.api.seen = self._watched
        self.resync = Resync(self.api, self.registry, (), INTERVAL, self.pulse)

    def _watched(self, plural: str, body: Body) -> None:
        if self.watch_delay == 0.0:
            self.registry.put_job(body)
        elif self.watch_delay is not None:
            asyncio.get_running_loop().call_later(self.watch_delay, self.registry.put_job, body)

    def put(self, **changes: Any) -> Body:
        return self.api.put(QUEUEJOBS, body(**changes))

    async def write_status(self, backlog: int) -> None:
        await self.api.patch_status(QUEUEJOBS, "shop", "emails", {"backlog": backlog})

    def delete(self, seen: bool) -> None:
        self.api.remove(QUEUEJOBS, "shop", "emails")
        if seen:
            self.registry.remove_job(("shop", "emails"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.resync.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


KEY = ("shop", "emails")


@in_virtual_time
async def test_a_watch_that_misses_nothing_beats_every_round() -> None:
    cluster = Cluster()
    async with cluster.running():
        cluster.put()
        await asyncio.sleep(5 * INTERVAL + 1)
    assert cluster.pulse.beats == 5
    assert cluster.woken == [KEY]


@in_virtual_time
async def test_a_missed_queuejob_is_taken_from_the_list_and_the_pulse_not_beaten() -> None:
    cluster = Cluster(watch_delay=None)
    async with cluster.running():
        cluster.put()
        await asyncio.sleep(INTERVAL + 10)
        assert cluster.registry.job(KEY) is not None
        assert cluster.woken == [KEY]
        assert cluster.pulse.beats == 0


@in_virtual_time
async def test_a_missed_change_is_taken_from_the_list() -> None:
    cluster = Cluster()
    cluster.put()
    cluster.watch_delay = None
    async with cluster.running():
        cluster.put(generation=2, concurrency=7)
        await asyncio.sleep(INTERVAL + 10)
        known = cluster.registry.job(KEY)
        assert known is not None
        assert known.generation == 2
        assert cluster.woken == [KEY, KEY]
        assert cluster.pulse.beats == 0


@in_virtual_time
async def test_a_missed_deletion_is_taken_from_the_list_and_the_pulse_not_beaten() -> None:
    cluster = Cluster()
    cluster.put()
    async with cluster.running():
        cluster.delete(seen=False)
        await asyncio.sleep(INTERVAL + 10)
        assert cluster.registry.job(KEY) is None
        assert cluster.woken == [KEY, KEY]
        assert cluster.pulse.beats == 0


@in_virtual_time
async def test_a_watch_that_is_a_moment_behind_has_missed_nothing() -> None:
    cluster = Cluster(watch_delay=3.0)
    async with cluster.running():
        await asyncio.sleep(INTERVAL - 1)
        cluster.put()
        await asyncio.sleep(10)
        assert cluster.pulse.beats == 1
        assert cluster.woken == [KEY]


@in_virtual_time
async def test_one_made_anew_while_its_list_was_compared_is_not_taken_for_deleted() -> None:
    cluster = Cluster()
    cluster.put()
    async with cluster.running():
        await asyncio.sleep(INTERVAL - 1)
        cluster.delete(seen=False)
        await asyncio.sleep(2)
        cluster.registry.remove_job(KEY)
        cluster.put(uid="uid-2")
        await asyncio.sleep(10)
        known = cluster.registry.job(KEY)
        assert known is not None
        assert known.uid == "uid-2"
        assert cluster.pulse.beats == 1


@in_virtual_time
async def test_one_that_came_after_the_list_is_not_taken_for_deleted() -> None:
    cluster = Cluster()
    async with cluster.running():
        await asyncio.sleep(INTERVAL - 1)
        cluster.watch_delay = 3.0
        cluster.put()
        await asyncio.sleep(2)
        cluster.watch_delay = 0.0
        cluster.api.put(QUEUEJOBS, body("sms"))
        await asyncio.sleep(10)
        assert sorted(cluster.registry.keys) == [KEY, ("shop", "sms")]


@in_virtual_time
async def test_a_silent_watch_is_found_out_by_the_operators_own_statuses() -> None:
    """After the missed change was taken from the list nobody changes anything; the status that the operator
    writes about it does not come back by the watch either.
    """
    cluster = Cluster()
    cluster.put()
    cluster.watch_delay = None
    async with cluster.running():
        cluster.put(generation=2)
        await asyncio.sleep(INTERVAL + 10)
        await cluster.write_status(backlog=1)
        await asyncio.sleep(10 * INTERVAL)
        assert cluster.pulse.beats == 0
        assert cluster.woken == [KEY, KEY], "a status is worth no reconcile"


@in_virtual_time
async def test_a_list_that_fails_proves_nothing() -> None:
    cluster = Cluster()
    cluster.put()
    async with cluster.running():
        with cluster.api.away():
            await asyncio.sleep(5 * INTERVAL + 1)
        assert cluster.pulse.beats == 5
        assert cluster.registry.keys == [KEY]


@in_virtual_time
async def test_the_first_list_fills_the_registry() -> None:
    cluster = Cluster(watch_delay=None)
    cluster.put()
    cluster.api.put(QUEUEJOBS, body("sms", namespace="mail"))
    await cluster.resync.first()
    assert sorted(cluster.registry.keys) == [("mail", "sms"), KEY]


@in_virtual_time
async def test_the_first_list_waits_for_the_api_server() -> None:
    cluster = Cluster(watch_delay=None)
    cluster.put()
    waiting = asyncio.create_task(cluster.resync.first())
    with cluster.api.away():
        await asyncio.sleep(600)
        assert not waiting.done()
        beats = cluster.pulse.beats
        assert beats >= 300
    await asyncio.wait_for(waiting, 5)
    assert now() <= 605
    assert cluster.registry.keys == [KEY]


@in_virtual_time
async def test_only_the_namespaces_that_are_watched_are_listed() -> None:
    cluster = Cluster(watch_delay=None)
    for namespace in ("shop", "mail", "spam"):
        cluster.api.put(QUEUEJOBS, body(namespace=namespace))
    resync = Resync(cluster.api, cluster.registry, ("shop", "mail"), INTERVAL, cluster.pulse)
    await resync.first()
    assert {key_of({"metadata": {"namespace": n, "name": "emails"}}) for n in ("shop", "mail")} == set(
        cluster.registry.keys
    )


def forbid(cluster: Cluster, *namespaces: str) -> None:
    """Let lists of these namespaces be refused, as without a RoleBinding there."""
    really = cluster.api.list

    async def listed(resource: Any, namespace: str | None = None, labels: Any = None) -> Body:
        if namespace in namespaces:
            raise KubernetesError(403, f"queuejobs is forbidden in the namespace {namespace}")
        return await really(resource, namespace, labels)

    cluster.api.list = listed  # type: ignore[method-assign]


@in_virtual_time
async def test_a_namespace_without_rights_holds_up_no_other() -> None:
    cluster = Cluster(watch_delay=None)
    for namespace in ("shop", "mail", "spam"):
        cluster.api.put(QUEUEJOBS, body(namespace=namespace))
    resync = Resync(cluster.api, cluster.registry, ("shop", "mail", "spam"), INTERVAL, cluster.pulse)
    forbid(cluster, "mail")
    with structlog.testing.capture_logs() as logs:
        await resync.first()
    assert now() == 0
    assert cluster.registry.keys == [("shop", "emails"), ("spam", "emails")]
    assert [(line["event"], line["namespace"]) for line in logs] == [("queuejobs_not_listed", "mail")]
    assert "may its ServiceAccount list queuejobs" in logs[0]["hint"]
    assert [resync.has_listed(namespace) for namespace in ("shop", "mail", "spam")] == [True, False, True]
    assert [resync.watches(namespace) for namespace in ("shop", "mail", "else")] == [True, True, False]


@in_virtual_time
async def test_rights_that_are_lost_do_not_delete_what_is_known() -> None:
    cluster = Cluster()
    for namespace in ("shop", "mail"):
        cluster.api.put(QUEUEJOBS, body(namespace=namespace))
    cluster.resync = Resync(cluster.api, cluster.registry, ("shop", "mail"), INTERVAL, cluster.pulse)
    forbid(cluster, "mail")
    async with cluster.running():
        await asyncio.sleep(3 * INTERVAL + 1)
        assert sorted(cluster.registry.keys) == [("mail", "emails"), KEY]
        assert cluster.pulse.beats == 3
        assert cluster.resync.has_listed("shop")
        cluster.delete(seen=False)
        await asyncio.sleep(INTERVAL + 10)
        assert cluster.registry.keys == [("mail", "emails")]


@in_virtual_time
async def test_without_any_rights_the_first_list_waits() -> None:
    cluster = Cluster(watch_delay=None)
    resync = Resync(cluster.api, cluster.registry, ("shop",), INTERVAL, cluster.pulse)
    forbid(cluster, "shop")
    waiting = asyncio.create_task(resync.first())
    await asyncio.sleep(60)
    assert not waiting.done()
    cluster.api.list = FakeKubernetes.list.__get__(cluster.api)  # type: ignore[method-assign]
    await asyncio.wait_for(waiting, 5)


@in_virtual_time
async def test_the_hint_of_a_missing_crd_is_another_one() -> None:
    cluster = Cluster(watch_delay=None)
    cluster.api.refuses = lambda *_: KubernetesError(404, "the server could not find the requested resource")
    with structlog.testing.capture_logs() as logs:
        waiting = asyncio.create_task(cluster.resync.first())
        await asyncio.sleep(1)
    assert not waiting.done()
    cluster.api.refuses = lambda *_: None
    await asyncio.wait_for(waiting, 5)
    assert logs[0]["hint"] == "is the CRD installed?"
