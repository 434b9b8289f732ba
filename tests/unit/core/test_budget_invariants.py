"""What holds for all shares, whoever asks for what. Needs hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import le

from hypothesis import given
from hypothesis import strategies as st

from bullherd.api import Priority
from bullherd.core.budget import Ask, Grant, Limits, allot

Key = tuple[str, str]

RANK = {priority: rank for rank, priority in enumerate(Priority)}

small = st.integers(0, 12)
asks_of_all = st.lists(
    st.builds(
        Ask,
        st.tuples(st.sampled_from(["shop", "mail", "news"]), st.sampled_from("abcdefgh")),
        st.sampled_from(Priority),
        st.integers(0, 3).map(float),
        small,
        small,
        small,
    ),
    max_size=12,
    unique_by=lambda ask: ask.key,
)
limit = st.one_of(st.none(), st.integers(0, 40))
any_limits = st.builds(
    Limits, limit, st.dictionaries(st.sampled_from(["shop", "mail"]), st.integers(0, 20), max_size=2), limit
)
budgets = given(asks_of_all, any_limits)


def kept(ask: Ask) -> int:
    """What nobody may take from it."""
    return min(ask.busy, ask.current)


def scopes(asks: list[Ask], limits: Limits) -> Iterator[tuple[int, list[Ask]]]:
    """Each limit, and those who are under it."""
    if limits.total is not None:
        yield limits.total, asks
    for namespace in sorted({ask.key[0] for ask in asks}):
        limit = limits.of(namespace)
        if limit is not None:
            yield limit, [ask for ask in asks if ask.key[0] == namespace]


def in_a_full_scope(ask: Ask, other: Ask, asks: list[Ask], limits: Limits, grants: dict[Key, Grant]) -> bool:
    """Whether ``ask`` is in a full scope that ``other`` is not in, and so can have nothing of what it has."""
    return any(
        ask in members and other not in members and sum(grants[one.key].target for one in members) >= limit
        for limit, members in scopes(asks, limits)
    )


@budgets
def test_nobody_has_less_than_is_busy_or_more_than_it_wants(asks: list[Ask], limits: Limits) -> None:
    grants = allot(asks, limits)
    for ask in asks:
        grant = grants[ask.key]
        assert kept(ask) <= grant.now <= grant.target <= max(ask.wanted, kept(ask))
        assert (grant.waits_for is None) == (grant.now >= ask.wanted)


@budgets
def test_shares_are_within_the_limits_but_for_what_is_busy(asks: list[Ask], limits: Limits) -> None:
    grants = allot(asks, limits)
    for limit, members in scopes(asks, limits):
        assert sum(grants[ask.key].target for ask in members) <= max(limit, sum(map(kept, members)))


@budgets
def test_what_there_is_never_grows_beyond_the_limits(asks: list[Ask], limits: Limits) -> None:
    """Even if all grow at once to what they may have now, and nobody has shrunk."""
    grants = allot(asks, limits)
    for limit, members in scopes(asks, limits):
        there = sum(ask.current for ask in members)
        assert sum(max(ask.current, grants[ask.key].now) for ask in members) <= max(limit, there)


@budgets
def test_nothing_is_left_over_while_somebody_is_short(asks: list[Ask], limits: Limits) -> None:
    grants = allot(asks, limits)
    for ask in asks:
        if grants[ask.key].target < ask.wanted:
            assert any(
                ask in members and sum(grants[one.key].target for one in members) >= limit
                for limit, members in scopes(asks, limits)
            )


@budgets
def test_nobody_is_short_while_a_lower_priority_has_more_than_one_or_its_busy_ones(
    asks: list[Ask], limits: Limits
) -> None:
    grants = allot(asks, limits)
    for short in asks:
        for other in asks:
            if (
                grants[short.key].target < short.wanted
                and RANK[other.priority] > RANK[short.priority]
                and grants[other.key].target > max(1, kept(other))
            ):
                assert in_a_full_scope(short, other, asks, limits, grants)


@budgets
def test_nobody_has_none_while_another_has_more_than_one_or_its_busy_ones(
    asks: list[Ask], limits: Limits
) -> None:
    grants = allot(asks, limits)
    for none in asks:
        for other in asks:
            if grants[none.key].target == 0 < none.wanted and grants[other.key].target > max(1, kept(other)):
                assert in_a_full_scope(none, other, asks, limits, grants)


@budgets
def test_within_a_priority_nobody_has_two_more_than_one_who_is_short(asks: list[Ask], limits: Limits) -> None:
    grants = allot(asks, limits)
    for short in asks:
        for other in asks:
            share = grants[short.key].target
            if (
                share < short.wanted
                and other.priority == short.priority
                and grants[other.key].target > max(share + 1, kept(other))
            ):
                assert in_a_full_scope(short, other, asks, limits, grants)


@given(asks_of_all, any_limits, st.randoms(use_true_random=False))
def test_the_order_of_the_asks_does_not_matter(asks: list[Ask], limits: Limits, random: object) -> None:
    shuffled = sorted(asks, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert allot(shuffled, limits) == allot(asks, limits)


@budgets
def test_asked_again_before_anybody_has_moved_it_is_the_same(asks: list[Ask], limits: Limits) -> None:
    grants = allot(asks, limits)
    allowed = {key: grant.now for key, grant in grants.items()}
    assert allot(asks, limits, allowed) == grants


@given(asks_of_all, any_limits, st.data())
def test_in_whatever_order_they_follow_all_end_at_their_shares(
    asks: list[Ask], limits: Limits, data: st.DataObject
) -> None:
    """And on the way there is never more than the limits, or than there was."""
    shares = {key: grant.target for key, grant in allot(asks, limits).items()}
    most = [max(limit, sum(one.current for one in members)) for limit, members in scopes(asks, limits)]
    for _ in range(100):
        grants = allot(asks, limits)
        assert {key: grant.target for key, grant in grants.items()} == shares
        moving = [ask for ask in asks if ask.current != grants[ask.key].now]
        if not moving:
            break
        mover = data.draw(st.sampled_from(moving))
        moved = replace(mover, current=grants[mover.key].now, busy=kept(mover))
        asks = [moved if ask is mover else ask for ask in asks]
        there = [sum(ask.current for ask in members) for _, members in scopes(asks, limits)]
        assert all(map(le, there, most))
    assert {ask.key: ask.current for ask in asks} == shares
