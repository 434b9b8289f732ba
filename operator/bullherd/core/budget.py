"""Who may have how many replicas when there are limits: for all QueueJobs together, and for each namespace.

First, everybody keeps the replicas that are busy, whatever the limits: work is never cut. Then each QueueJob
that wants any has one, High before Medium before Low, and the older before the younger. What is left goes to
High until nobody there wants more, then to Medium, then to Low.

Within one priority the shares are even: all rise together, and who has enough stops. Not in proportion to
what is wanted: then a long backlog would buy replicas from everybody, and each change of one backlog would
move all shares. This way it is nobody else's matter what a QueueJob wants beyond its share. What cannot be
divided goes to the oldest.

A namespace at its limit shares out that limit in the same way, and leaves the rest to the others.

A share (``target``) may still be in use by somebody who has yet to shrink. So growth waits (``now``): it
takes only what is free, in the same order, and the limits hold at every moment. Once everybody has followed,
everybody is at the target.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from math import inf

from bullherd.api import Priority
from bullherd.core.fair_share import even_shares

Key = tuple[str, str]
"""Namespace and name of a QueueJob."""

_RANK = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a QueueJob wants.

    ``created``: unix seconds; ``current``: replicas that it has, or can get without asking again, as by a
    HorizontalPodAutoscaler up to its maxReplicas; ``busy``: replicas that have work in hand.
    """

    key: Key
    priority: Priority
    created: float
    wanted: int
    current: int
    busy: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Most replicas of all QueueJobs together and of each namespace; None is no limit."""

    total: int | None = None
    namespaces: Mapping[str, int] = field(default_factory=dict)
    default_namespace: int | None = None

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return self.total is not None or self.any_of_namespaces

    @property
    def any_of_namespaces(self) -> bool:
        """Whether any namespace is limited."""
        return bool(self.namespaces) or self.default_namespace is not None

    def of(self, namespace: str) -> int | None:
        """The limit of one namespace."""
        return self.namespaces.get(namespace, self.default_namespace)


@dataclass(frozen=True, slots=True)
class Grant:
    """``target``: its share; ``now``: what it may have at this moment; ``waits_for``: why it may not have
    what it wants, None if it may.
    """

    target: int
    now: int
    waits_for: str | None = None


def allot(asks: Iterable[Ask], limits: Limits, allowed: Mapping[Key, int] | None = None) -> dict[Key, Grant]:
    """The shares of all. ``allowed``: what was granted before and may be about to be taken."""
    allowed = allowed or {}
    ordered = sorted(asks, key=lambda ask: (_RANK[ask.priority], ask.created, ask.key))
    kept = [min(ask.busy, ask.current) for ask in ordered]
    wanted = [max(ask.wanted, busy) for ask, busy in zip(ordered, kept, strict=True)]
    targets = _shared_out(ordered, kept, wanted, limits)
    held = [max(ask.current, allowed.get(ask.key, 0)) for ask in ordered]
    grown = _shared_out(ordered, held, targets, limits)

    reasons = _Reasons(ordered, targets, limits)
    grants = {}
    for ask, target, most in zip(ordered, targets, grown, strict=True):
        now = min(target, most)
        grants[ask.key] = Grant(target, now, reasons.of(ask, target, now) if now < ask.wanted else None)
    return grants


def _shared_out(
    ordered: Sequence[Ask], least: Sequence[int], most: Sequence[int], limits: Limits
) -> list[int]:
    """By the rules at the top, between ``least`` and ``most`` for each; a least above most stays."""
    shares = list(least)
    left = _Left(limits, ordered, least)
    rising = [place for place, share in enumerate(least) if share < most[place]]
    for place in rising:
        if shares[place] == 0 and left.for_one_more(ordered[place].key[0]):
            left.take(ordered[place].key[0], 1)
            shares[place] = 1

    for _, group in groupby(rising, key=lambda place: ordered[place].priority):
        places = list(group)
        low = [shares[place] for place in places]
        high = [most[place] for place in places]
        if left.namespaces:
            _lower_to_namespaces([ordered[place].key[0] for place in places], low, high, left.namespaces)
        for place, share in zip(places, even_shares(low, high, left.total), strict=True):
            left.take(ordered[place].key[0], share - shares[place])
            shares[place] = share
    return shares


def _lower_to_namespaces(
    namespaces: Sequence[str], low: Sequence[int], high: list[int], left: Mapping[str, int]
) -> None:
    """Lower ``high`` to what each could have if there were no limit but those of the namespaces."""
    members: dict[str, list[int]] = {}
    for place, namespace in enumerate(namespaces):
        if namespace in left:
            members.setdefault(namespace, []).append(place)
    for namespace, places in members.items():
        shares = even_shares([low[at] for at in places], [high[at] for at in places], left[namespace])
        for place, share in zip(places, shares, strict=True):
            high[place] = share


class _Left:
    """What is left of the limits; less than nothing where there was more before they were."""

    def __init__(self, limits: Limits, ordered: Sequence[Ask], taken: Sequence[int]) -> None:
        self.total = inf if limits.total is None else limits.total - sum(taken)
        self.namespaces: dict[str, int] = {}
        if limits.any_of_namespaces:
            used: Counter[str] = Counter()
            for ask, count in zip(ordered, taken, strict=True):
                used[ask.key[0]] += count
            for namespace, count in used.items():
                limit = limits.of(namespace)
                if limit is not None:
                    self.namespaces[namespace] = limit - count

    def for_one_more(self, namespace: str) -> bool:
        return self.total > 0 and self.namespaces.get(namespace, 1) > 0

    def take(self, namespace: str, count: int) -> None:
        self.total -= count
        if namespace in self.namespaces:
            self.namespaces[namespace] -= count


class _Reasons:
    """Sentences for those who are short."""

    def __init__(self, ordered: Sequence[Ask], targets: Sequence[int], limits: Limits) -> None:
        self._ordered = ordered
        self._targets = targets
        self._limits = limits
        self._full: dict[str, str] = {}

    def of(self, ask: Ask, target: int, now: int) -> str:
        if target >= ask.wanted:
            return f"needs {ask.wanted}, may have {now} until others have shrunk"
        until = "" if now == target else f" ({now} until others have shrunk)"
        namespace = ask.key[0]
        if namespace not in self._full:
            self._full[namespace] = self._limit_reached(namespace)
        return f"needs {ask.wanted}, may have {target}{until}: {self._full[namespace]}"

    def _limit_reached(self, namespace: str) -> str:
        """The namespace's, or else that of all together."""
        limit = self._limits.of(namespace)
        if limit is not None and self._given[namespace].total() >= limit:
            return _given_out(f"the namespace {namespace}", limit, self._given[namespace])
        assert self._limits.total is not None
        return _given_out("the operator", self._limits.total, self._given[None])

    @cached_property
    def _given(self) -> dict[str | None, Counter[Priority]]:
        """Shares of each priority in each namespace, and in all together under None."""
        given: dict[str | None, Counter[Priority]] = defaultdict(Counter)
        for ask, target in zip(self._ordered, self._targets, strict=True):
            given[None][ask.priority] += target
            given[ask.key[0]][ask.priority] += target
        return given


def _given_out(whose: str, limit: int, given: Counter[Priority]) -> str:
    if limit == 0 == given.total():
        return f"{whose} may have none"
    shares = ", ".join(f"{priority} {given[priority]}" for priority in Priority if given[priority])
    if given.total() > limit:
        return f"{whose} may have {limit}, and {given.total()} are busy ({shares})"
    return f"all {limit} replicas of {whose} are given out ({shares})"
