"""Answers of the API server that are kept for a while, on virtual time. Needs nothing."""

from __future__ import annotations

import asyncio

import pytest

from bullherd.kube.client import KubernetesError
from bullherd.server.review_cache import ReviewCache
from tests.unit.virtual_time import in_virtual_time


class Asked:
    """A review that takes a second; it counts how often it is asked for."""

    def __init__(self) -> None:
        self.cache: ReviewCache[str, str] = ReviewCache()
        self.times = 0
        self.away = False

    async def review(self) -> str:
        self.times += 1
        answer = f"answer {self.times}"
        await asyncio.sleep(1)
        if self.away:
            raise KubernetesError(0, "away")
        return answer

    async def ask(self, key: str = "key") -> str:
        return await self.cache.ask(key, self.review)


@in_virtual_time
async def test_an_answer_is_kept_for_ten_seconds() -> None:
    asked = Asked()
    assert await asked.ask() == "answer 1"
    await asyncio.sleep(8.9)
    assert await asked.ask() == "answer 1"
    await asyncio.sleep(0.2)
    assert await asked.ask() == "answer 2"


@in_virtual_time
async def test_what_many_ask_at_once_is_asked_once() -> None:
    asked = Asked()
    assert set(await asyncio.gather(*(asked.ask() for _ in range(100)))) == {"answer 1"}
    assert await asked.ask("another") == "answer 2"


@in_virtual_time
async def test_what_failed_is_not_kept() -> None:
    asked = Asked()
    asked.away = True
    failed = await asyncio.gather(*(asked.ask() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [KubernetesError] * 3
    asked.away = False
    assert await asked.ask() == "answer 2"


@in_virtual_time
async def test_one_who_gives_up_takes_the_answer_from_nobody() -> None:
    asked = Asked()
    impatient, patient = asyncio.create_task(asked.ask()), asyncio.create_task(asked.ask())
    await asyncio.sleep(0.5)
    impatient.cancel()
    assert await patient == "answer 1"
    with pytest.raises(asyncio.CancelledError):
        await impatient


@in_virtual_time
async def test_ever_new_questions_do_not_fill_the_memory() -> None:
    asked = Asked()
    await asyncio.gather(*(asked.ask(str(number)) for number in range(10_000)))
    assert len(asked.cache._asked) == 4096
    assert await asked.ask("9999") == "answer 10000"
    assert await asked.ask("0") == "answer 10001", "the oldest are forgotten first"
