"""Two candidates and one Lease, on virtual time. Needs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from bullherd.core.election import LeaseTerms
from bullherd.kube.client import KubernetesError
from bullherd.kube.leases import LEASES, LeaseHolder
from tests.unit.controllers.fake_kubernetes import FakeKubernetes
from tests.unit.virtual_time import in_virtual_time, now

TERMS = LeaseTerms(duration=12.0, renew_deadline=8.0, retry_period=2.0)


def candidate(api: FakeKubernetes, name: str) -> LeaseHolder:
    return LeaseHolder(api, "bullherd", "operator", name, TERMS, lambda: None)


def lease(api: FakeKubernetes) -> dict[str, Any]:
    spec: dict[str, Any] = api.look(LEASES, "bullherd", "operator")["spec"]
    return spec


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_the_first_candidate_makes_the_lease() -> None:
    api = FakeKubernetes()
    await candidate(api, "a").acquire()
    assert lease(api)["holderIdentity"] == "a"
    assert lease(api)["leaseDurationSeconds"] == 12
    assert lease(api)["leaseTransitions"] == 0
    assert lease(api)["acquireTime"] == lease(api)["renewTime"]


@in_virtual_time
async def test_of_two_that_come_at_once_one_wins() -> None:
    api = FakeKubernetes()
    async with running(candidate(api, "a").acquire(), candidate(api, "b").acquire()) as (a, b):
        await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(5)
        assert [a.done(), b.done()].count(True) == 1
        assert lease(api)["holderIdentity"] == ("a" if a.done() else "b")


@in_virtual_time
async def test_of_two_that_take_over_at_once_one_wins() -> None:
    api = FakeKubernetes()
    await candidate(api, "dead").acquire()
    async with running(candidate(api, "a").acquire(), candidate(api, "b").acquire()) as (a, b):
        await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(5)
        assert [a.done(), b.done()].count(True) == 1
        assert lease(api)["leaseTransitions"] == 1


@in_virtual_time
async def test_a_standby_waits_for_as_long_as_the_holder_renews() -> None:
    api = FakeKubernetes()
    holder, standby = candidate(api, "a"), candidate(api, "b")
    await holder.acquire()
    async with running(holder.hold(), standby.acquire()) as (holding, waiting):
        await asyncio.sleep(3600)
        assert not holding.done()
        assert not waiting.done()
        assert lease(api)["leaseTransitions"] == 0


@in_virtual_time
async def test_a_standby_takes_over_when_the_holder_died() -> None:
    api = FakeKubernetes()
    await candidate(api, "a").acquire()
    standby = candidate(api, "b")
    await asyncio.wait_for(standby.acquire(), 60)
    assert 12 < now() <= 12 + TERMS.retry_period + 1e-6
    assert lease(api)["holderIdentity"] == "b"
    assert lease(api)["leaseTransitions"] == 1


@in_virtual_time
async def test_a_standby_is_let_in_at_once_by_a_holder_that_leaves() -> None:
    api = FakeKubernetes()
    holder, standby = candidate(api, "a"), candidate(api, "b")
    await holder.acquire()
    async with running(standby.acquire()) as (waiting,):
        await asyncio.sleep(1)
        await holder.release()
        assert lease(api)["holderIdentity"] is None
        await asyncio.wait_for(waiting, 10)
        assert now() <= 1 + TERMS.retry_period
        assert lease(api)["leaseTransitions"] == 1


@in_virtual_time
async def test_a_standby_leaves_the_lease_alone_when_it_goes() -> None:
    api = FakeKubernetes()
    await candidate(api, "a").acquire()
    standby = candidate(api, "b")
    async with running(standby.acquire()):
        await asyncio.sleep(3)
    await standby.release()
    assert lease(api)["holderIdentity"] == "a"


@pytest.mark.parametrize(("how", "lasts"), [("away", 0.0), ("silent", 3.0)])
def test_leaving_is_not_held_up_by_an_api_server_that_is_away(how: str, lasts: float) -> None:
    @in_virtual_time
    async def scenario() -> None:
        api = FakeKubernetes()
        holder = candidate(api, "a")
        await holder.acquire()
        with getattr(api, how)():
            await holder.release()
        assert now() == lasts
        assert lease(api)["holderIdentity"] == "a"

    scenario()


@in_virtual_time
async def test_a_holder_ends_when_another_one_has_the_lease() -> None:
    api = FakeKubernetes()
    holder = candidate(api, "a")
    await holder.acquire()
    stolen = api.look(LEASES, "bullherd", "operator")
    stolen["spec"]["holderIdentity"] = "thief"
    api.put(LEASES, stolen)
    await asyncio.wait_for(holder.hold(), 60)
    assert now() == TERMS.retry_period
    await holder.release()
    assert lease(api)["holderIdentity"] == "thief"


@in_virtual_time
async def test_a_holder_goes_on_when_one_request_failed() -> None:
    api = FakeKubernetes()
    holder = candidate(api, "a")
    await holder.acquire()
    async with running(holder.hold()) as (holding,):
        await asyncio.sleep(3)
        with api.away():
            await asyncio.sleep(3)
        await asyncio.sleep(60)
        assert not holding.done()


@pytest.mark.parametrize("how", ["away", "silent"])
def test_a_holder_gives_up_before_anybody_may_take_over(how: str) -> None:
    """Also when every request hangs: then each uses up its own time limit."""

    @in_virtual_time
    async def scenario() -> None:
        api = FakeKubernetes()
        holder = candidate(api, "a")
        await holder.acquire()
        async with running(holder.hold()) as (holding,):
            await asyncio.sleep(11)
            renewed_at = 10.0
            with getattr(api, how)():
                await asyncio.wait_for(holding, 60)
            assert now() == pytest.approx(renewed_at + TERMS.renew_deadline)

    scenario()


@in_virtual_time
async def test_the_time_that_the_lease_took_to_get_counts() -> None:
    """It was the holder's for others from when it was written, not from when the answer came."""

    class Slow(FakeKubernetes):
        async def create(self, *arguments: Any) -> Any:
            made = await super().create(*arguments)
            await asyncio.sleep(3)
            return made

    api = Slow()
    holder = candidate(api, "a")
    await holder.acquire()
    assert now() == 3
    with api.away():
        await asyncio.wait_for(holder.hold(), 60)
    assert now() == pytest.approx(TERMS.renew_deadline)


@in_virtual_time
async def test_a_candidate_waits_out_an_api_server_that_is_away() -> None:
    api = FakeKubernetes()
    async with running(candidate(api, "a").acquire()) as (waiting,):
        with api.silent():
            await asyncio.sleep(300)
        with api.away():
            await asyncio.sleep(300)
        assert not waiting.done()
        await asyncio.wait_for(waiting, 10)


@in_virtual_time
async def test_an_api_server_that_was_away_is_no_reason_to_take_over_early() -> None:
    """What counts is when the Lease was last seen to change, and it changed while it could not be seen."""
    api = FakeKubernetes()
    standby = candidate(api, "b")
    await candidate(api, "a").acquire()
    async with running(standby.acquire()) as (waiting,):
        await asyncio.sleep(1)
        with api.away():
            await asyncio.sleep(100)
        renewed = api.look(LEASES, "bullherd", "operator")
        renewed["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
        api.put(LEASES, renewed)
        await asyncio.sleep(11)
        assert not waiting.done()
        await asyncio.wait_for(waiting, 10)


@in_virtual_time
async def test_every_turn_beats_the_pulse() -> None:
    api, beats = FakeKubernetes(), []
    await candidate(api, "a").acquire()
    standby = LeaseHolder(api, "bullherd", "operator", "b", TERMS, lambda: beats.append(now()))
    async with running(standby.acquire()):
        with api.away():
            await asyncio.sleep(10)
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert max(gaps) <= TERMS.retry_period


@in_virtual_time
async def test_a_lease_that_somebody_deleted_is_made_again() -> None:
    api = FakeKubernetes()
    holder = candidate(api, "a")
    await holder.acquire()
    async with running(holder.hold()) as (holding,):
        await asyncio.sleep(3)
        api.remove(LEASES, "bullherd", "operator")
        await asyncio.sleep(3)
        assert lease(api)["holderIdentity"] == "a"
        assert not holding.done()


@in_virtual_time
async def test_what_the_api_server_answers_is_no_empty_holder() -> None:
    with pytest.raises(KubernetesError, match="holderIdentity"):
        FakeKubernetes().put(
            LEASES, {"metadata": {"namespace": "n", "name": "l"}, "spec": {"holderIdentity": ""}}
        )
