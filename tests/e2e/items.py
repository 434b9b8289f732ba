"""What became of items, as BullMQ itself has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

from tests.fixtures.node import NodeQueue

LOOK = 0.1


@dataclass(frozen=True)
class Account:
    """Of the items that were added: how many completed, which did not, which were begun more than once."""

    completed: int
    lost: frozenset[str]
    run_again: frozenset[str]

    def __str__(self) -> str:
        return f"{self.completed} completed, {len(self.lost)} lost, {len(self.run_again)} run again"


async def account(queue: NodeQueue, added: Collection[str], limit: float) -> Account:
    """Wait until the queue has nothing more to do, or the limit is over: then count."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        counts = await queue.counts()
        if counts["completed"] + counts["failed"] >= len(added):
            break
        await asyncio.sleep(LOOK)
    items = {item.id: item for item in await queue.items("completed")}
    return Account(
        completed=len(items),
        lost=frozenset(set(added) - set(items)),
        run_again=frozenset(item.id for item in items.values() if item.attemptsStarted > 1),
    )
