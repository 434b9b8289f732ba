"""Even shares of something that there is not enough of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def even_shares(least: Sequence[int], most: Sequence[int], room: float) -> list[int]:
    """What each has when all rise together from ``least`` towards ``most``, until ``room`` more are out.

    All stop at one level: who began above it has not risen, who wants less has enough. What cannot be divided
    among those at the level goes to the first of them, one each.
    """
    room = max(0, room)
    if sum(most) - sum(least) <= room:
        return list(most)
    level, spare = _level(least, most, int(room))
    shares = []
    for low, high in zip(least, most, strict=True):
        share = max(low, min(high, level))
        if spare and low <= level < high:
            share += 1
            spare -= 1
        shares.append(share)
    return shares


def _level(least: Sequence[int], most: Sequence[int], room: int) -> tuple[int, int]:
    """The level that ``room`` is enough for, and what is then left; there is not enough for all."""
    joining = Counter(least)
    joining.subtract(Counter(most))
    level, rising = 0, 0
    for height in sorted(joining):
        needed = (height - level) * rising
        if needed > room:
            more, spare = divmod(room, rising)
            return level + more, spare
        room -= needed
        level = height
        rising += joining[height]
    raise AssertionError("there is enough for all")
