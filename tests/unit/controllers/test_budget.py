"""The ledger of the budgets: what is granted while others have yet to follow. Needs hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bullherd.api import Priority
from bullherd.controllers.budget import Budgets
from bullherd.core.budget import Ask, Grant, Limits, allot

HIGH, MEDIUM, LOW = Priority
Key = tuple[str, str]


def ask(
    name: str,
    wanted: int,
    current: int = 0,
    priority: Priority = MEDIUM,
    *,
    busy: int = 0,
    created: float = 0.0,
) -> Ask:
    return Ask(("shop", name), priority, created, wanted, current, busy)


class Ledger:
    """Budgets that have begun, and whom they woke."""

    def __init__(self, limits: Limits, *present: Ask) -> None:
        self.woken: list[str] = []
        self.budgets = Budgets(limits, lambda key: self.woken.append(key[1]))
        self.budgets.begin(present)

    def ask(self, asked: Ask) -> tuple[int, int]:
        """The share and what it may have now."""
        grant = self.budgets.grant(asked)
        return grant.target, grant.now


def test_without_limits_everybody_has_what_it_wants_and_nothing_is_kept() -> None:
    ledger = Ledger(Limits())
    assert ledger.budgets.grant(ask("a", 7)) == Grant(7, 7)
    assert not ledger.budgets.limits


def test_within_the_limits_everybody_has_what_it_wants() -> None:
    ledger = Ledger(Limits(10))
    assert ledger.ask(ask("a", 6)) == (6, 6)
    assert ledger.ask(ask("b", 4)) == (4, 4)
    assert ledger.woken == []


def test_who_is_affected_is_woken_and_nobody_else() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8, 8, LOW))
    ledger.ask(ask("b", 1, 1, HIGH))
    ledger.ask(ask("c", 4, 0, HIGH))
    assert ledger.woken == ["a"]


def test_growth_waits_until_the_others_have_come_back_with_less() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 10, 10, LOW))
    assert ledger.ask(ask("b", 6, 0, HIGH)) == (6, 0)
    assert ledger.ask(ask("a", 10, 10, LOW)) == (4, 4), "it has not moved yet"
    assert ledger.ask(ask("b", 6, 0, HIGH)) == (6, 0)
    ledger.woken.clear()
    assert ledger.ask(ask("a", 10, 7, LOW)) == (4, 4)
    assert ledger.woken == ["b"], "three are free"
    assert ledger.ask(ask("b", 6, 0, HIGH)) == (6, 3)
    ledger.ask(ask("a", 10, 4, LOW))
    assert ledger.ask(ask("b", 6, 3, HIGH)) == (6, 6)


def test_what_was_granted_is_taken_even_before_it_is_seen() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8))
    assert ledger.ask(ask("b", 8, created=1.0)) == (5, 2), "a may be about to have eight"


def test_a_grant_still_counts_for_the_next_ask_which_may_not_have_seen_it() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8))
    ledger.ask(ask("b", 8, created=1.0))
    assert ledger.ask(ask("a", 9, current=0)) == (5, 5), "whoever says none has may be a moment behind"
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (5, 2)
    ledger.ask(ask("a", 9, current=5))
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (5, 5)


def test_who_wants_less_leaves_it_to_others() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8, 8))
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (5, 2)
    ledger.woken.clear()
    ledger.ask(ask("a", 1, 8))
    assert ledger.woken == ["b"], "it will have more"
    ledger.ask(ask("a", 1, 1))
    assert ledger.woken == ["b", "b"], "and now it can"
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (8, 8)


def test_who_was_told_less_than_before_and_has_even_less_comes_back_by_itself() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8))
    ledger.ask(ask("b", 8, created=1.0))
    ledger.woken.clear()
    ledger.ask(ask("a", 1, 0))
    assert sorted(ledger.woken) == ["a", "b"], "no write of a's will be seen"
    ledger.ask(ask("a", 1, 0))
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (8, 8)


def test_the_same_ask_again_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(Limits(10))
    asks = [ask("a", 8, 8), ask("b", 8, 2)]
    for one in [*asks, *asks]:
        ledger.ask(one)
    shares = [ledger.ask(one) for one in asks]
    monkeypatch.setattr("bullherd.controllers.budget.allot", None)
    assert [ledger.ask(one) for one in asks] == shares == [(5, 5), (5, 2)]


def test_who_is_gone_leaves_it_to_others() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 8, 8))
    ledger.ask(ask("b", 8, 2, created=1.0))
    ledger.woken.clear()
    ledger.budgets.forget(("shop", "a"))
    assert ledger.woken == ["b"]
    assert ledger.ask(ask("b", 8, 2, created=1.0)) == (8, 8)
    ledger.budgets.forget(("shop", "a"))
    ledger.budgets.forget(("shop", "never seen"))


def test_a_busy_one_is_not_cut() -> None:
    ledger = Ledger(Limits(10))
    ledger.ask(ask("a", 9, 9, LOW, busy=9))
    assert ledger.ask(ask("b", 9, 0, HIGH)) == (1, 1)
    assert ledger.ask(ask("a", 9, 9, LOW, busy=2)) == (2, 2)


def test_a_sentence_alone_wakes_nobody() -> None:
    ledger = Ledger(Limits(4))
    ledger.ask(ask("a", 9, 4, LOW, busy=4))
    ledger.ask(ask("b", 9, 0, LOW))
    ledger.woken.clear()
    ledger.ask(ask("c", 9, 0, HIGH))
    assert ledger.woken == []


class TestANewLeader:
    def test_it_grants_nothing_before_it_knows_what_everybody_has(self) -> None:
        woken: list[Key] = []
        budgets = Budgets(Limits(10), woken.append)
        assert budgets.grant(ask("a", 8, 3)) == Grant(3, 3, "what all the others have is not known yet")
        assert budgets.grant(ask("a", 2, 3)).now == 3
        budgets.begin([ask("b", 5, 5, busy=5), ask("a", 5, 5, busy=5)])
        assert woken == [("shop", "a")], "it has asked; for the others nothing has changed"
        assert budgets.grant(ask("a", 8, 3)) == Grant(
            5, 5, "needs 8, may have 5: all 10 replicas of the operator are given out (Medium 10)"
        )

    def test_what_others_have_is_not_granted_again(self) -> None:
        ledger = Ledger(Limits(10), ask("b", 9, 9, LOW, busy=9))
        assert ledger.ask(ask("a", 8, 0, HIGH)) == (1, 1)

    def test_more_than_the_limit_may_be_there(self) -> None:
        ledger = Ledger(Limits(10), ask("b", 20, 20), ask("c", 20, 20))
        assert ledger.ask(ask("a", 8)) == (4, 0)
        assert ledger.ask(ask("b", 20, 20)) == (3, 3)


def test_an_ask_that_fits_is_nobody_elses_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger(Limits(100))
    monkeypatch.setattr("bullherd.controllers.budget.allot", None)
    for number in range(20):
        assert ledger.ask(ask(f"q{number}", 5)) == (5, 5)
    with pytest.raises(TypeError):
        ledger.ask(ask("one too many", 1))


@dataclass
class Worked:
    """A QueueJob: what it wants, what its Deployment has, and what was last seen of that."""

    priority: Priority
    wanted: int = 0
    has: int = 0
    seen: int = 0
    busy: int = 0


NAMES = st.sampled_from([("shop", "a"), ("shop", "b"), ("mail", "a"), ("mail", "b"), ("news", "a")])


class AnyHistory(RuleBasedStateMachine):
    """QueueJobs are reconciled in any order, and see what they wrote a moment later.

    A write that the API server refuses is tried again only after what there is has been seen.
    """

    @initialize(
        total=st.integers(0, 20),
        namespaces=st.dictionaries(st.sampled_from(["shop", "mail"]), st.integers(0, 10), max_size=2),
        others=st.none() | st.integers(0, 10),
    )
    def begin(self, total: int, namespaces: dict[str, int], others: int | None) -> None:
        self.total = total
        self.limits = Limits(total, namespaces, others)
        self.woken: set[Key] = set()
        self.budgets = Budgets(self.limits, self.woken.add)
        self.budgets.begin([])
        self.jobs: dict[Key, Worked] = {}

    @rule(key=NAMES, wanted=st.integers(0, 15), priority=st.sampled_from(Priority), refused=st.booleans())
    def want(self, key: Key, wanted: int, priority: Priority, refused: bool) -> None:
        job = self.jobs.setdefault(key, Worked(priority))
        job.wanted = wanted
        self._reconcile(key, refused)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), refused=st.booleans())
    def come_again(self, data: st.DataObject, refused: bool) -> None:
        self._reconcile(data.draw(st.sampled_from(sorted(self.jobs))), refused)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def see(self, data: st.DataObject) -> None:
        self._see(data.draw(st.sampled_from(sorted(self.jobs))))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), busy=st.integers(0, 15))
    def work(self, data: st.DataObject, busy: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[key]
        job.busy = min(busy, job.has, job.seen)
        self.woken.add(key)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.jobs)))
        del self.jobs[key]
        self.budgets.forget(key)

    def _reconcile(self, key: Key, refused: bool) -> None:
        self.woken.discard(key)
        job = self.jobs[key]
        grant = self.budgets.grant(self._ask_of(key))
        self._see(key)
        if refused:
            self.woken.add(key)
        else:
            job.has = max(job.busy, min(grant.now, job.wanted))

    def _see(self, key: Key) -> None:
        """What the watch brings wakes."""
        job = self.jobs[key]
        if job.seen != job.has:
            job.seen = job.has
            self.woken.add(key)

    def _ask_of(self, key: Key) -> Ask:
        job = self.jobs[key]
        return Ask(key, job.priority, 0.0, max(job.wanted, job.busy), job.seen, job.busy)

    @invariant()
    def there_are_never_more_than_the_limits(self) -> None:
        jobs = getattr(self, "jobs", {})
        if not jobs:
            return
        assert sum(job.has for job in jobs.values()) <= self.total
        for namespace in {key[0] for key in jobs}:
            limit = self.limits.of(namespace)
            there = sum(job.has for key, job in jobs.items() if key[0] == namespace)
            assert limit is None or there <= limit

    def teardown(self) -> None:
        """If only those come who are woken, by the ledger or by what was seen, all end at their shares."""
        jobs = getattr(self, "jobs", {})
        if not jobs:
            return
        for _ in range(500):
            for key in jobs:
                self._see(key)
            keys = self.woken & jobs.keys()
            if not keys:
                break
            self._reconcile(min(keys), refused=False)
        shares = allot([self._ask_of(key) for key in jobs], self.limits)
        assert {key: job.has for key, job in jobs.items()} == {
            key: grant.target for key, grant in shares.items()
        }


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
