"""Who may have how many replicas: tables, read as sentences. Needs nothing."""

from __future__ import annotations

import pytest

from bullherd.api import Priority
from bullherd.core.budget import Ask, Grant, Limits, allot

HIGH, MEDIUM, LOW = Priority


def ask(
    name: str,
    wanted: int,
    priority: Priority = MEDIUM,
    *,
    current: int | None = None,
    busy: int = 0,
    created: float = 0.0,
) -> Ask:
    """An ask in the namespace shop, or of ``namespace/name``; as many as wanted are there already if nothing
    else is said, so that a share is also what may be had now.
    """
    namespace, _, short = name.rpartition("/")
    return Ask(
        (namespace or "shop", short), priority, created, wanted, wanted if current is None else current, busy
    )


def targets(asks: list[Ask], limits: Limits) -> dict[str, int]:
    """Shares by name."""
    return {key[1]: grant.target for key, grant in allot(asks, limits).items()}


def now(asks: list[Ask], limits: Limits) -> dict[str, int]:
    """What each may have at this moment, by name."""
    return {key[1]: grant.now for key, grant in allot(asks, limits).items()}


@pytest.mark.parametrize(
    ("asks", "total", "expected"),
    [
        pytest.param([], 5, {}, id="nobody"),
        pytest.param([ask("a", 3), ask("b", 2)], 5, {"a": 3, "b": 2}, id="enough for all"),
        pytest.param(
            [ask("a", 8, LOW), ask("b", 8, MEDIUM), ask("c", 8, HIGH)],
            14, {"c": 8, "b": 5, "a": 1},
            id="High before Medium before Low, which keeps one",
        ),
        pytest.param(
            [ask("a", 8, LOW), ask("b", 8, MEDIUM), ask("c", 8, HIGH)],
            3, {"c": 1, "b": 1, "a": 1},
            id="each has one before anybody has two",
        ),
        pytest.param(
            [ask("a", 8, LOW), ask("b", 8, MEDIUM), ask("c", 8, HIGH)],
            2, {"c": 1, "b": 1, "a": 0},
            id="not even one for each: High and Medium first",
        ),
        pytest.param(
            [ask("a", 1, created=3.0), ask("b", 1, created=1.0), ask("c", 1, created=2.0)],
            2, {"b": 1, "c": 1, "a": 0},
            id="not even one for each: the older first",
        ),
        pytest.param(
            [ask("a", 4, LOW), ask("b", 0, LOW)], 1, {"a": 1, "b": 0},
            id="who wants none gets none",
        ),
        pytest.param(
            [ask("a", 20), ask("b", 20), ask("c", 20)], 12, {"a": 4, "b": 4, "c": 4},
            id="one priority shares evenly",
        ),
        pytest.param(
            [ask("a", 1000), ask("b", 20), ask("c", 2)], 12, {"a": 5, "b": 5, "c": 2},
            id="a long backlog has no larger share, and who wants little has it",
        ),
        pytest.param(
            [ask("a", 9, created=2.0), ask("b", 9, created=1.0), ask("c", 9, created=3.0)],
            11, {"b": 4, "a": 4, "c": 3},
            id="what cannot be divided goes to the oldest",
        ),
        pytest.param(
            [ask("a", 9, LOW, busy=6), ask("b", 9, HIGH)], 10, {"b": 4, "a": 6},
            id="a Low one that is busy is not cut for a High one",
        ),
        pytest.param(
            [ask("a", 9, busy=6), ask("b", 9), ask("c", 9)], 12, {"a": 6, "b": 3, "c": 3},
            id="who is busy beyond its share keeps that and gets no more",
        ),
        pytest.param(
            [ask("a", 9, LOW, busy=9), ask("b", 9, HIGH, current=0)], 5, {"a": 9, "b": 0},
            id="more busy than the limit: nobody else gets any",
        ),
        pytest.param(
            [ask("a", 0, current=3, busy=2)], 5, {"a": 2},
            id="who wants none keeps the busy ones all the same",
        ),
        pytest.param(
            [ask("a", 4, current=2, busy=7), ask("b", 9)], 8, {"a": 4, "b": 4},
            id="no more are kept for being busy than there are",
        ),
        pytest.param([ask("a", 4)], 0, {"a": 0}, id="a limit of nothing"),
    ],
)  # fmt: skip
def test_one_limit_for_all(asks: list[Ask], total: int, expected: dict[str, int]) -> None:
    assert targets(asks, Limits(total)) == expected


@pytest.mark.parametrize(
    ("asks", "limits", "expected"),
    [
        pytest.param(
            [ask("shop/a", 9), ask("shop/b", 9), ask("mail/c", 9)],
            Limits(None, {"shop": 6}), {"a": 3, "b": 3, "c": 9},
            id="a namespace with a limit beside one without",
        ),
        pytest.param(
            [ask("shop/a", 9), ask("mail/b", 9), ask("news/c", 9)],
            Limits(None, {"shop": 6}, 2), {"a": 6, "b": 2, "c": 2},
            id="each namespace that is not named has its own",
        ),
        pytest.param(
            [ask("shop/a", 9, HIGH), ask("shop/b", 9, LOW), ask("mail/c", 9, LOW)],
            Limits(None, {"shop": 6}), {"a": 5, "b": 1, "c": 9},
            id="priorities count within a namespace",
        ),
        pytest.param(
            [ask("shop/a", 9, HIGH), ask("mail/b", 9, LOW)],
            Limits(12, {"shop": 4}), {"a": 4, "b": 8},
            id="what a namespace may not take is the others', also if they are Low",
        ),
        pytest.param(
            [ask("shop/a", 9), ask("shop/b", 9), ask("mail/c", 9), ask("news/d", 9)],
            Limits(18, {"shop": 4}), {"a": 2, "b": 2, "c": 7, "d": 7},
            id="both limits: the shares are even among those who can take more",
        ),
        pytest.param(
            [ask("shop/a", 9), ask("shop/b", 9), ask("mail/c", 9)],
            Limits(6, {"shop": 100}), {"a": 2, "b": 2, "c": 2},
            id="a namespace's limit is no claim to as many",
        ),
        pytest.param(
            [ask("shop/a", 5, LOW, busy=5), ask("shop/b", 5, HIGH), ask("mail/c", 5)],
            Limits(20, {"shop": 5}), {"a": 5, "b": 0, "c": 5},
            id="a namespace full of busy ones",
        ),
        pytest.param(
            [ask("shop/a", 5), ask("mail/b", 5)], Limits(None, {"shop": 0}), {"a": 0, "b": 5},
            id="a namespace that may have none",
        ),
    ],
)  # fmt: skip
def test_limits_of_namespaces(asks: list[Ask], limits: Limits, expected: dict[str, int]) -> None:
    assert targets(asks, limits) == expected


@pytest.mark.parametrize(
    ("asks", "total", "expected"),
    [
        pytest.param(
            [ask("a", 10, current=2), ask("b", 3)], 13, {"a": 10, "b": 3}, id="what is free can be had now"
        ),
        pytest.param(
            [ask("a", 10, HIGH, current=0), ask("b", 9, LOW, current=10)], 10, {"a": 0, "b": 1},
            id="nothing is free before the other has shrunk",
        ),
        pytest.param(
            [ask("a", 10, HIGH, current=0), ask("b", 9, LOW, current=6)], 10, {"a": 4, "b": 1},
            id="what is free already can be had",
        ),
        pytest.param(
            [ask("a", 9, HIGH, current=0), ask("b", 9, MEDIUM, current=0), ask("c", 9, LOW, current=8)],
            12, {"a": 3, "b": 1, "c": 1},
            id="what is free goes first to those who have none, then by priority",
        ),
        pytest.param(
            [ask("a", 9, current=12), ask("b", 9, current=3)], 12, {"a": 6, "b": 3},
            id="more than the limit is there: nobody grows",
        ),
        pytest.param([ask("a", 2, current=8)], 5, {"a": 2}, id="who wants fewer may have no more"),
    ],
)  # fmt: skip
def test_growth_waits_for_room(asks: list[Ask], total: int, expected: dict[str, int]) -> None:
    assert now(asks, Limits(total)) == expected


def test_what_was_granted_and_is_not_there_yet_counts_as_taken() -> None:
    asks = [ask("a", 8, current=0), ask("b", 8, current=0, created=1.0)]
    why = "all 10 replicas of the operator are given out (Medium 10)"
    assert allot(asks, Limits(10), {("shop", "a"): 8}) == {
        ("shop", "a"): Grant(5, 5, f"needs 8, may have 5: {why}"),
        ("shop", "b"): Grant(5, 2, f"needs 8, may have 5 (2 until others have shrunk): {why}"),
    }


@pytest.mark.parametrize(
    ("asks", "limits", "sentence"),
    [
        pytest.param([ask("a", 3)], Limits(5), None, id="enough"),
        pytest.param([ask("a", 0, current=3, busy=2)], Limits(5), None, id="who wants no more"),
        pytest.param(
            [ask("a", 9, LOW), ask("b", 60, HIGH, created=1.0), ask("c", 40, created=1.0)], Limits(100),
            "needs 9, may have 1: all 100 replicas of the operator are given out (High 60, Medium 39, Low 1)",
            id="all given out",
        ),
        pytest.param(
            [ask("a", 12), ask("b", 2, HIGH), ask("mail/c", 70)], Limits(100, {"shop": 7}),
            "needs 12, may have 5: all 7 replicas of the namespace shop are given out (High 2, Medium 5)",
            id="all of the namespace given out",
        ),
        pytest.param(
            [ask("a", 12), ask("mail/c", 70)], Limits(10, {"shop": 7}),
            "needs 12, may have 5: all 10 replicas of the operator are given out (Medium 10)",
            id="the namespace has some left",
        ),
        pytest.param(
            [ask("a", 12, current=0), ask("b", 3, LOW, current=9)], Limits(15),
            "needs 12, may have 6 until others have shrunk",
            id="only the others are slow",
        ),
        pytest.param(
            [ask("a", 12, current=0), ask("b", 9, LOW, current=9, busy=8)], Limits(15),
            "needs 12, may have 7 (6 until others have shrunk): "
            "all 15 replicas of the operator are given out (Medium 7, Low 8)",
            id="short, and the others are slow",
        ),
        pytest.param(
            [ask("a", 12, current=0), ask("b", 9, LOW, busy=9)], Limits(5),
            "needs 12, may have 0: the operator may have 5, and 9 are busy (Low 9)",
            id="more are busy than allowed",
        ),
        pytest.param(
            [ask("a", 12)], Limits(None, {"shop": 0}),
            "needs 12, may have 0: the namespace shop may have none",
            id="none allowed",
        ),
    ],
)  # fmt: skip
def test_what_is_said(asks: list[Ask], limits: Limits, sentence: str | None) -> None:
    assert allot(asks, limits)["shop", "a"].waits_for == sentence


def test_what_somebody_wants_beyond_its_share_is_nobody_elses_matter() -> None:
    def others(backlog: int) -> dict[str, int]:
        shares = targets([ask("a", backlog), ask("b", 20), ask("c", 3)], Limits(23))
        return {name: share for name, share in shares.items() if name != "a"}

    assert {tuple(others(backlog).items()) for backlog in range(10, 10_000, 777)} == {(("b", 10), ("c", 3))}


@pytest.mark.parametrize(
    ("limits", "limited"),
    [
        (Limits(), False),
        (Limits(0), True),
        (Limits(None, {"shop": 1}), True),
        (Limits(None, {}, 0), True),
    ],
)
def test_whether_anything_is_limited(limits: Limits, limited: bool) -> None:
    assert bool(limits) is limited
