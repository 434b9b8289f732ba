"""The queue of keys to reconcile, on virtual time. Needs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bullherd.controllers.workqueue import WorkQueue
from tests.unit.virtual_time import in_virtual_time, now


class Work:
    """A reconcile to look at: when each key ran, what failed, and what is running.

    ``lasts`` is how long a run takes, ``answer`` what it returns; a test replaces them.
    """

    def __init__(self) -> None:
        self.began: list[tuple[float, str]] = []
        self.failures: list[tuple[float, str]] = []
        self.running: list[str] = []
        self.most_at_once = 0
        self.beats: list[float] = []
        self.lasts: Callable[[str], float] = lambda key: 0.0
        self.answer: Callable[[str], float | None] = lambda key: None
        self.queue: WorkQueue[str] = WorkQueue(self.reconcile, self.failed)

    async def reconcile(self, key: str) -> float | None:
        assert key not in self.running, "two runs of one key at a time"
        self.began.append((now(), key))
        self.running.append(key)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            await asyncio.sleep(self.lasts(key))
            return self.answer(key)
        finally:
            self.running.remove(key)

    def failed(self, key: str, error: Exception) -> None:
        self.failures.append((now(), key))

    def times(self, key: str) -> list[float]:
        return [moment for moment, name in self.began if name == key]


@asynccontextmanager
async def working(work: Work, parallel: int = 16) -> AsyncIterator[None]:
    task = asyncio.create_task(work.queue.run(lambda: work.beats.append(now()), parallel))
    try:
        yield
        assert not task.done(), "the loop ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def scenario(test: Callable[[Work], Awaitable[None]]) -> Callable[[], None]:
    @in_virtual_time
    async def run() -> None:
        await test(Work())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


@scenario
async def test_a_wake_runs_once_and_nothing_runs_by_itself(work: Work) -> None:
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(3600)
    assert work.began == [(0.0, "a")]


@scenario
async def test_what_was_woken_before_the_loop_began_runs(work: Work) -> None:
    work.queue.wake("a")
    async with working(work):
        await asyncio.sleep(1)
    assert work.times("a") == [0.0]


@scenario
async def test_many_wakes_of_a_key_that_waits_are_one_run(work: Work) -> None:
    async with working(work):
        for _ in range(1000):
            work.queue.wake("a")
        await asyncio.sleep(1)
    assert work.times("a") == [0.0]


@scenario
async def test_a_wake_during_a_run_runs_it_again_when_it_ends(work: Work) -> None:
    work.lasts = lambda key: 5.0
    async with working(work):
        work.queue.wake("a")
        for _ in range(3):
            await asyncio.sleep(1)
            work.queue.wake("a")
        await asyncio.sleep(60)
    assert work.times("a") == [0.0, 5.0]


@scenario
async def test_other_keys_run_beside_it(work: Work) -> None:
    work.lasts = lambda key: 10.0
    async with working(work):
        for key in "abc":
            work.queue.wake(key)
        await asyncio.sleep(1)
        assert sorted(work.running) == ["a", "b", "c"]


@scenario
async def test_no_more_run_at_once_than_there_are_slots_and_none_is_forgotten(work: Work) -> None:
    work.lasts = lambda key: 1.0
    keys = [f"key-{n}" for n in range(10)]
    async with working(work, parallel=3):
        for key in keys:
            work.queue.wake(key)
        await asyncio.sleep(60)
    assert work.most_at_once == 3
    assert sorted(key for _, key in work.began) == keys
    assert max(moment for moment, _ in work.began) == 3.0


@scenario
async def test_a_key_woken_while_it_waits_for_a_slot_does_not_run_twice_at_once(work: Work) -> None:
    work.lasts = lambda key: 5.0
    async with working(work, parallel=1):
        work.queue.wake("first")
        await asyncio.sleep(1)
        work.queue.wake("a")
        await asyncio.sleep(1)
        work.queue.wake("a")
        await asyncio.sleep(60)
    assert work.most_at_once == 1
    assert work.times("a")[0] == 5.0


@scenario
async def test_a_run_may_ask_to_be_run_again_later(work: Work) -> None:
    work.answer = lambda key: 60.0 if len(work.began) == 1 else None
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(3600)
    assert work.times("a") == [0.0, pytest.approx(60.0)]


@scenario
async def test_a_wake_comes_before_what_is_planned_and_replaces_it(work: Work) -> None:
    work.answer = lambda key: 60.0 if len(work.began) == 1 else None
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(10)
        work.queue.wake("a")
        await asyncio.sleep(3600)
    assert work.times("a") == [0.0, 10.0]


@scenario
async def test_a_later_plan_never_puts_off_an_earlier_one(work: Work) -> None:
    async with working(work):
        work.queue.wake_after("a", 5)
        work.queue.wake_after("a", 50)
        await asyncio.sleep(3600)
    assert work.times("a") == [pytest.approx(5.0)]


@scenario
async def test_a_plan_made_during_a_run_is_kept(work: Work) -> None:
    work.lasts = lambda key: 2.0
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(1)
        work.queue.wake_after("a", 30)
        await asyncio.sleep(3600)
    assert work.times("a") == [0.0, pytest.approx(31.0)]


@scenario
async def test_the_sooner_of_a_plan_and_an_answer_counts(work: Work) -> None:
    work.lasts = lambda key: 2.0
    work.answer = lambda key: 10.0 if len(work.began) == 1 else None
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(1)
        work.queue.wake_after("a", 30)
        await asyncio.sleep(3600)
    assert work.times("a") == [0.0, pytest.approx(12.0)]


def fail_first(work: Work, times: int) -> Callable[[str], float | None]:
    def answer(key: str) -> float | None:
        if key == "bad" and len(work.times("bad")) <= times:
            raise ValueError("on purpose")
        return None

    return answer


@scenario
async def test_failures_come_back_with_growing_pauses_up_to_a_minute(work: Work) -> None:
    work.answer = fail_first(work, times=8)
    async with working(work):
        work.queue.wake("bad")
        await asyncio.sleep(3600)
    pauses = [later - earlier for earlier, later in pairwise(work.times("bad"))]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert len(work.failures) == 8


@scenario
async def test_a_success_forgets_the_failures(work: Work) -> None:
    work.answer = fail_first(work, times=3)
    async with working(work):
        work.queue.wake("bad")
        await asyncio.sleep(100)
        work.answer = fail_first(work, times=5)
        work.queue.wake("bad")
        await asyncio.sleep(100)
    assert work.times("bad")[-2:] == [100.0, pytest.approx(101.0)]


@scenario
async def test_a_wake_does_not_wait_for_the_pause_after_a_failure(work: Work) -> None:
    work.answer = fail_first(work, times=6)
    async with working(work):
        work.queue.wake("bad")
        await asyncio.sleep(40)
        work.queue.wake("bad")
        await asyncio.sleep(1)
    assert work.times("bad")[-1] == 40.0


@scenario
async def test_one_keys_failures_do_not_hold_up_others(work: Work) -> None:
    work.answer = fail_first(work, times=99)
    async with working(work):
        work.queue.wake("bad")
        await asyncio.sleep(10)
        work.queue.wake("good")
        await asyncio.sleep(1)
    assert work.times("good") == [10.0]
    assert {key for _, key in work.failures} == {"bad"}


@scenario
async def test_an_idle_loop_is_seen_to_turn(work: Work) -> None:
    async with working(work):
        await asyncio.sleep(60)
    assert 12 <= len(work.beats) <= 14


@scenario
async def test_stopping_the_loop_ends_what_runs(work: Work) -> None:
    work.lasts = lambda key: 1000.0
    async with working(work):
        work.queue.wake("a")
        await asyncio.sleep(1)
        assert work.running == ["a"]
    assert work.running == []
    assert work.failures == []


@scenario
async def test_plans_that_were_overtaken_do_not_pile_up(work: Work) -> None:
    """Each run plans the next for the refresh, minutes away; each wake overtakes that."""
    work.answer = lambda key: 300.0
    async with working(work):
        for _ in range(2000):
            work.queue.wake("a")
            await asyncio.sleep(0.1)
        assert len(work.times("a")) == 2000
        assert len(work.queue._heap) <= 66
        await asyncio.sleep(301)
    assert work.times("a")[-1] == pytest.approx(work.times("a")[-2] + 300.0)


@scenario
async def test_what_is_planned_survives_the_overtaken(work: Work) -> None:
    work.answer = lambda key: 300.0
    async with working(work):
        for n in range(1000):
            work.queue.wake_after(f"later-{n}", 100.0 + n / 10)
        for _ in range(5000):
            work.queue.wake("a")
            await asyncio.sleep(0.01)
        await asyncio.sleep(200)
    assert [key for moment, key in work.began if key != "a"] == [f"later-{n}" for n in range(1000)]
