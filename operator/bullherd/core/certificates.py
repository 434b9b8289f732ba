"""When the server's certificate and the authority that signs it are renewed, and whom the API servers trust.

All replicas keep one Secret: authorities, the newest one's key, and a leaf that all of them serve. The bundle
in the APIService says which authorities the API servers trust. Nothing may fall between the two:

- A new authority is published beside the old one first. Only after it was seen in the bundle for ``settle``,
  time in which every API server gets to know it, does it sign a leaf.
- An authority stays in the bundle until it has expired. No leaf outlives the authority that signed it, so
  then nothing that it signed can still be served, whichever replica was slow to notice.
- A leaf is renewed with a third of its life left, an authority likewise, whose third is longer than a leaf's
  whole life. So a new leaf always gets its full time.

Where there is nothing to lose (no leaf, or one that nobody accepts any more) a leaf is made at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateTerms:
    """Seconds. All follow from how long a leaf lives."""

    leaf: float

    @property
    def authority(self) -> float:
        """How long an authority lives."""
        return 4 * self.leaf

    @property
    def settle(self) -> float:
        """How long an authority must have been published before it signs."""
        return min(60.0, self.leaf / 10)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others; ``pem`` is its only name."""

    pem: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that is served. ``issuer`` None: none of the known authorities signed it."""

    expires_at: float
    names: frozenset[str]
    issuer: Authority | None


@dataclass(frozen=True, slots=True)
class StoredCertificates:
    """What is in the Secret. ``authorities``: the newest first; ``can_sign``: its key is there, too."""

    authorities: tuple[Authority, ...] = ()
    can_sign: bool = False
    leaf: Leaf | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The bundle in an APIService that is ours. ``newest_since``: since when the newest stored authority has
    been seen in it.
    """

    authorities: tuple[Authority, ...] = ()
    newest_since: float | None = None


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """``keep``: the stored authorities that are still good. ``make_authority`` comes before ``make_leaf``,
    which the then newest one signs.
    """

    keep: tuple[Authority, ...]
    make_authority: bool
    make_leaf: bool


def plan_certificates(
    stored: StoredCertificates,
    published: Published | None,
    names: Collection[str],
    now: float,
    terms: CertificateTerms,
) -> CertificatePlan:
    """``published`` None: no APIService leads here, so nobody trusts us through one."""
    keep = tuple(one for one in stored.authorities if one.expires_at > now)
    newest = keep[0] if keep and keep[0] is stored.authorities[0] and stored.can_sign else None
    make_authority = newest is None or newest.expires_at - now <= terms.authority / 3
    leaf = stored.leaf
    if leaf is None or leaf.issuer not in keep or leaf.expires_at <= now or not leaf.names >= set(names):
        return CertificatePlan(keep, make_authority, make_leaf=True)
    due = leaf.expires_at - now <= terms.leaf / 3 or leaf.issuer != newest
    settled = published is None or (
        published.newest_since is not None and now - published.newest_since >= terms.settle
    )
    return CertificatePlan(keep, make_authority, make_leaf=due and settled and not make_authority)


def bundle_to_publish(
    stored: StoredCertificates, published: Published, now: float
) -> tuple[Authority, ...] | None:
    """The authorities that API servers should trust from now on; None when they do already.

    What another replica published stays, too: its Secret may be newer than the one that was read here.
    """
    wanted = [one for one in (*stored.authorities, *published.authorities) if one.expires_at > now]
    bundle = tuple(dict.fromkeys(wanted))
    return bundle if set(bundle) != set(published.authorities) else None
