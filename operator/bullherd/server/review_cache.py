"""The API server's answers about callers, kept for a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

_LIFETIME = 10.0
"""Seconds. So long may somebody go on whose rights were just taken away, as with Kubernetes' own servers."""

_MOST = 4096
"""Answers that are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Answer]):
    answer: asyncio.Task[Answer]
    until: float


class ReviewCache(Generic[Key, Answer]):
    """What several ask for at a time is asked once. A review that failed is not kept."""

    def __init__(self) -> None:
        self._asked: dict[Key, _Asked[Answer]] = {}

    async def ask(self, key: Key, review: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer for this key, from ``review`` if none is kept; raises what ``review`` raises."""
        now = asyncio.get_running_loop().time()
        asked = self._asked.get(key)
        if asked is None or asked.until <= now:
            self._asked.pop(key, None)
            asked = _Asked(asyncio.ensure_future(review()), now + _LIFETIME)
            self._asked[key] = asked
            if len(self._asked) > _MOST:
                del self._asked[next(iter(self._asked))]
        try:
            # One who gives up must not take the answer from the others.
            return await asyncio.shield(asked.answer)
        except Exception:
            if self._asked.get(key) is asked:
                del self._asked[key]
            raise
