"""The ledger of the budgets: who has asked for how many replicas, and what each was granted.

What a QueueJob was told it may have counts as taken until it has been told less and has come back since, its
write behind it: what it says it has may come from a watch that is a moment late.

A new leader grants nothing before it knows what everybody has (``begin``): the first to ask would otherwise
be given what others hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bullherd.controllers.registry import JobKey
from bullherd.core.budget import Ask, Grant, Limits, allot

_NOT_BEGUN = "what all the others have is not known yet"


class Budgets:
    """Grants replicas within limits. Wakes each QueueJob whose grant another one's ask has changed."""

    def __init__(self, limits: Limits, wake: Callable[[JobKey], None]) -> None:
        self.limits = limits
        self._wake = wake
        self._begun = False
        self._asks: dict[JobKey, Ask] = {}
        self._grants: dict[JobKey, Grant] = {}
        self._told: dict[JobKey, int] = {}
        """What it was told last that it may have."""
        self._allowed: dict[JobKey, int] = {}
        """The most that it may be about to take."""
        self._loads = _Loads()
        self._enough = True
        """Whether everybody may have what it wants: then an ask that fits is nobody else's matter."""

    def begin(self, asks: Iterable[Ask]) -> None:
        """Start to grant, given what everybody has; who has already asked has said so itself."""
        self._begun = True
        if self.limits:
            for ask in asks:
                if ask.key not in self._asks:
                    self._note(ask)
            self._share_out()

    def grant(self, ask: Ask) -> Grant:
        """Note what a QueueJob wants and say what it may have."""
        if not self.limits:
            return Grant(ask.wanted, ask.wanted)
        if ask != self._asks.get(ask.key) or self._allowed[ask.key] != self._told.get(ask.key):
            self._note(ask)
            self._weigh(ask)
        grant = self._grants[ask.key]
        self._told[ask.key] = grant.now
        if self._allowed[ask.key] > max(ask.current, grant.now):
            # Nothing that it writes now will be seen and bring it back.
            self._wake(ask.key)
        return grant

    def forget(self, key: JobKey) -> None:
        """It is gone, and what it had is free."""
        if self._asks.pop(key, None) is None:
            return
        for known in (self._grants, self._told, self._allowed):
            known.pop(key, None)
        self._loads.put(key, 0)
        if self._begun and not self._enough:
            self._share_out()

    def _weigh(self, ask: Ask) -> None:
        if not self._begun:
            self._put(ask.key, Grant(ask.current, ask.current, _NOT_BEGUN))
        elif self._enough and self._loads.within(self.limits, ask.key[0]):
            share = max(ask.wanted, min(ask.busy, ask.current))
            self._put(ask.key, Grant(share, share))
        else:
            self._share_out(asking=ask.key)

    def _note(self, ask: Ask) -> None:
        self._asks[ask.key] = ask
        self._allowed[ask.key] = self._told.get(ask.key, 0)
        self._loads.put(ask.key, max(ask.wanted, ask.current, self._allowed[ask.key]))

    def _share_out(self, asking: JobKey | None = None) -> None:
        grants = allot(self._asks.values(), self.limits, self._allowed)
        self._enough = all(grant.waits_for is None for grant in grants.values())
        for key, grant in grants.items():
            before = self._grants.get(key)
            self._put(key, grant)
            if key != asking and before is not None and _differ(before, grant):
                self._wake(key)

    def _put(self, key: JobKey, grant: Grant) -> None:
        self._grants[key] = grant
        self._allowed[key] = max(self._allowed[key], grant.now)


def _differ(before: Grant, after: Grant) -> bool:
    """A sentence alone wakes nobody: it has numbers of others, and they change all the time."""
    return (before.target, before.now) != (after.target, after.now)


class _Loads:
    """The most that each may come to have, and the sums."""

    def __init__(self) -> None:
        self._loads: dict[JobKey, int] = {}
        self._total = 0
        self._namespaces: Counter[str] = Counter()

    def put(self, key: JobKey, load: int) -> None:
        more = load - self._loads.pop(key, 0)
        if load:
            self._loads[key] = load
        self._total += more
        self._namespaces[key[0]] += more

    def within(self, limits: Limits, namespace: str) -> bool:
        limit = limits.of(namespace)
        return (limits.total is None or self._total <= limits.total) and (
            limit is None or self._namespaces[namespace] <= limit
        )
