"""The last changes of a number of replicas, for people who ask what happened."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 10


@dataclass(frozen=True, slots=True)
class Change:
    """``at``: unix seconds of when it was seen."""

    at: float
    before: int
    after: int
    reason: str

    @property
    def grows(self) -> bool:
        """Whether there are more replicas than before."""
        return self.after > self.before


def with_change(changes: tuple[Change, ...], change: Change) -> tuple[Change, ...]:
    """Newest first; the oldest falls off."""
    return (change, *changes)[:MOST]
