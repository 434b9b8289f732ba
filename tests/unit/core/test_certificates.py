"""When certificates are renewed, and what of the old ones stays trusted. Needs hypothesis."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullherd.core.certificates import (
    Authority,
    CertificatePlan,
    CertificateTerms,
    Leaf,
    Published,
    StoredCertificates,
    bundle_to_publish,
    plan_certificates,
)
from tests.unit.builders import NOW

TERMS = CertificateTerms(leaf=900.0)
"""Leaves of 15 minutes, renewed after 10; authorities of an hour, renewed after 40 minutes; 60 s settle."""

NAMES = ("server", "server.herd.svc")
NEW, OLD = Authority("new", NOW + 3000), Authority("old", NOW + 1000)
LEAF = Leaf(NOW + 600, frozenset(NAMES), NEW)
STORED = StoredCertificates((NEW, OLD), can_sign=True, leaf=LEAF)
SETTLED = Published((NEW, OLD), newest_since=NOW - 60)
FRESH = Published((NEW, OLD), newest_since=NOW - 59)
UNKNOWN = Published((OLD,))
BOTH = (NEW, OLD)


def leaf(**changes: object) -> StoredCertificates:
    return replace(STORED, leaf=replace(LEAF, **changes))  # type: ignore[arg-type]


ROWS = [
    ("there is nothing: make both", StoredCertificates(), None, ((), True, True)),
    ("nothing, and somebody trusts an old one: make both", StoredCertificates(), UNKNOWN, ((), True, True)),
    ("all is well", STORED, SETTLED, (BOTH, False, False)),
    ("all is well, nobody asks through an APIService", STORED, None, (BOTH, False, False)),
    ("the leaf is due: renew it", leaf(expires_at=NOW + 300), SETTLED, (BOTH, False, True)),
    ("a moment before it is due", leaf(expires_at=NOW + 301), SETTLED, (BOTH, False, False)),
    ("due, but the authority was just published", leaf(expires_at=NOW + 300), FRESH, (BOTH, False, False)),
    ("due, but the authority is not published", leaf(expires_at=NOW + 300), UNKNOWN, (BOTH, False, False)),
    ("due, and nobody asks through an APIService", leaf(expires_at=NOW + 300), None, (BOTH, False, True)),
    ("the leaf has expired: renew it at once", leaf(expires_at=NOW), UNKNOWN, (BOTH, False, True)),
    ("there is no leaf: make it at once", replace(STORED, leaf=None), UNKNOWN, (BOTH, False, True)),
    ("it is for other names: at once", leaf(names=frozenset(["server"])), UNKNOWN, (BOTH, False, True)),
    ("nobody knows who signed it: at once", leaf(issuer=None), UNKNOWN, (BOTH, False, True)),
    ("the old authority signed it, the new is known", leaf(issuer=OLD), SETTLED, (BOTH, False, True)),
    ("the old authority signed it, the new just came", leaf(issuer=OLD), FRESH, (BOTH, False, False)),
    (
        "the authority is due: make another and keep the leaf",
        replace(STORED, authorities=(OLD,), leaf=replace(LEAF, issuer=OLD)),
        replace(SETTLED, authorities=(OLD,)),
        ((OLD,), True, False),
    ),
    (
        "authority and leaf are due: the authority first",
        replace(STORED, authorities=(OLD,), leaf=Leaf(NOW + 1, frozenset(NAMES), OLD)),
        replace(SETTLED, authorities=(OLD,)),
        ((OLD,), True, False),
    ),
    ("the key is lost: another authority", replace(STORED, can_sign=False), SETTLED, (BOTH, True, False)),
    (
        "what has expired goes",
        replace(STORED, authorities=(NEW, replace(OLD, expires_at=NOW))),
        SETTLED,
        ((NEW,), False, False),
    ),
    (
        "all have expired: begin anew",
        StoredCertificates((replace(OLD, expires_at=NOW),), True, Leaf(NOW, frozenset(NAMES), OLD)),
        SETTLED,
        ((), True, True),
    ),
]


@pytest.mark.parametrize(("name", "stored", "published", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_plan(
    name: str, stored: StoredCertificates, published: Published | None, wanted: tuple[object, ...]
) -> None:
    plan = plan_certificates(stored, published, NAMES, NOW, TERMS)
    assert (plan.keep, plan.make_authority, plan.make_leaf) == wanted, name


@pytest.mark.parametrize(
    ("name", "published", "bundle"),
    [
        ("they trust nobody yet", (), BOTH),
        ("they trust all of ours", BOTH, None),
        ("the order says nothing", (OLD, NEW), None),
        ("the new one is missing", (OLD,), BOTH),
        ("another replica published one more", (Authority("x", NOW + 1), *BOTH), None),
        ("one more, and ours is missing", (Authority("x", NOW + 1),), (*BOTH, Authority("x", NOW + 1))),
        ("one has expired", (*BOTH, Authority("x", NOW)), BOTH),
    ],
)
def test_bundle(name: str, published: tuple[Authority, ...], bundle: tuple[Authority, ...] | None) -> None:
    assert bundle_to_publish(STORED, Published(published), NOW) == bundle, name


@dataclass
class Herd:
    """Replicas over one Secret and one APIService; each serves the leaf that it saw last."""

    terms: CertificateTerms
    stored: StoredCertificates = field(default_factory=StoredCertificates)
    bundle: tuple[Authority, ...] = ()
    published: list[tuple[float, tuple[Authority, ...]]] = field(default_factory=list)
    since: dict[tuple[int, str], float] = field(default_factory=dict)
    served: dict[int, Leaf] = field(default_factory=dict)
    made: int = 0

    def turn(self, replica: int, now: float) -> None:
        """One look of a replica, and what it does."""
        newest = self.stored.authorities[0] if self.stored.authorities else None
        seen = (replica, newest.pem) if newest else None
        if newest in self.bundle and seen:
            self.since.setdefault(seen, now)
        elif seen:
            self.since.pop(seen, None)
        published = Published(self.bundle, self.since.get(seen) if seen else None)
        self._carry_out(plan_certificates(self.stored, published, NAMES, now, self.terms), now)
        bundle = bundle_to_publish(self.stored, published, now)
        if bundle is not None:
            self.bundle = bundle
            self.published.append((now, bundle))
        assert self.stored.leaf is not None
        self.served[replica] = self.stored.leaf

    def known(self, now: float) -> tuple[Authority, ...]:
        """The bundle that slow API servers go by; the first one they have had since ever."""
        at = [bundle for since, bundle in self.published if since <= now - 0.9 * self.terms.settle]
        return at[-1] if at else self.published[0][1]

    def _carry_out(self, plan: CertificatePlan, now: float) -> None:
        authorities, leaf = plan.keep, self.stored.leaf
        if plan.make_authority:
            self.made += 1
            authorities = (Authority(f"authority-{self.made}", now + self.terms.authority), *authorities)
        if plan.make_leaf:
            ends = min(now + self.terms.leaf, authorities[0].expires_at)
            leaf = Leaf(ends, frozenset(NAMES), authorities[0])
        self.stored = StoredCertificates(authorities, can_sign=True, leaf=leaf)


@given(st.floats(10, 1e7), st.integers(1, 3), st.lists(st.floats(0.1, 1), min_size=1, max_size=9))
@settings(deadline=None)
def test_over_years_every_leaf_that_is_served_is_trusted(
    lifetime: float, replicas: int, pauses: list[float]
) -> None:
    """Replicas look one after another, soon or late, if often enough to renew in time; meanwhile they serve
    what they saw last. API servers learn of a bundle a while after it was published.
    """
    herd, now = Herd(CertificateTerms(lifetime)), NOW
    for replica in range(replicas):
        herd.turn(replica, now)
    for number, pause in enumerate(islice(cycle(pauses), 200)):
        now += pause * lifetime / 12 / replicas
        for served in herd.served.values():
            assert served.expires_at > now
            assert served.issuer in herd.known(now)
            assert served.issuer.expires_at >= served.expires_at
        herd.turn(number % replicas, now)
        assert len(herd.bundle) <= 2


def test_over_years_authorities_follow_each_other() -> None:
    herd = Herd(TERMS)
    for second in range(0, 14 * 2400 + 600, 10):
        herd.turn(0, NOW + second)
    assert herd.made == 15, "one each 40 minutes"
    assert [one.pem for one in herd.bundle] == ["authority-15", "authority-14"]
    assert herd.served[0].issuer == herd.bundle[0]


@pytest.mark.parametrize("lifetime", [10.0, 900.0, 90 * 86_400.0])
def test_a_new_leaf_gets_its_full_time(lifetime: float) -> None:
    terms = CertificateTerms(lifetime)
    assert terms.authority / 3 > terms.leaf + terms.settle
    assert terms.settle < terms.leaf / 3
