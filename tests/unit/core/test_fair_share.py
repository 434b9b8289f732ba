"""Even shares. Needs hypothesis."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.core.fair_share import even_shares


@pytest.mark.parametrize(
    ("least", "most", "room", "shares"),
    [
        pytest.param([], [], 5, [], id="nobody"),
        pytest.param([0, 0], [3, 4], inf, [3, 4], id="no limit"),
        pytest.param([0, 0], [3, 4], 7, [3, 4], id="just enough"),
        pytest.param([0, 0, 0], [9, 9, 9], 6, [2, 2, 2], id="alike"),
        pytest.param([0, 0, 0], [9, 9, 9], 8, [3, 3, 2], id="the remainder is the first ones'"),
        pytest.param([0, 0, 0], [1, 9, 9], 7, [1, 3, 3], id="who wants less has enough"),
        pytest.param([0, 0, 0], [2, 100, 10], 12, [2, 5, 5], id="who wants much has no more for it"),
        pytest.param([5, 0, 0], [9, 9, 9], 4, [5, 2, 2], id="who has more than the level has not risen"),
        pytest.param([5, 0, 0], [9, 9, 9], 12, [6, 6, 5], id="until the level is there"),
        pytest.param([1, 1, 1], [2, 2, 2], 1, [2, 1, 1], id="one"),
        pytest.param([1, 2], [5, 5], 0, [1, 2], id="none"),
        pytest.param([1, 2], [5, 5], -3, [1, 2], id="less than none"),
        pytest.param([1, 2], [1, 2], -3, [1, 2], id="less than none, and nobody wants any"),
        pytest.param([3, 0], [3, 4], 2, [3, 2], id="who wants no more"),
    ],
)
def test_shares(least: list[int], most: list[int], room: float, shares: list[int]) -> None:
    assert even_shares(least, most, room) == shares


bounds = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), max_size=8)


@given(bounds, st.integers(0, 60))
def test_one_after_the_other_to_whoever_has_least(pairs: list[list[int]], room: int) -> None:
    """The same as handing out single ones."""
    least, most = [low for low, _ in pairs], [high for _, high in pairs]
    shares = list(least)
    for _ in range(room):
        rising = [place for place, share in enumerate(shares) if share < most[place]]
        if not rising:
            break
        shares[min(rising, key=lambda place: shares[place])] += 1
    assert even_shares(least, most, room) == shares
