"""Which QueueJob a queue belongs to when several name the same one.

Two Deployments on one queue would each be sized for the whole backlog. The oldest QueueJob keeps the queue;
the others wait and say whose it is, and the next oldest takes over when it goes.

A Redis is known by the host, port and database that connections and QueueJobs name. The same one under two
host names (a Service and its IP address, say) is taken for two, and the rule above does not hold between
them: whether two names lead to one server is more than a name tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bullherd.core.snapshot import QueueKey


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """A queue on a server; ``server`` is the endpoint's address."""

    server: str
    queue: QueueKey


@dataclass(frozen=True, slots=True)
class QueueClaim:
    """One QueueJob's wish for one queue. ``created`` is unix seconds."""

    namespace: str
    name: str
    uid: str
    created: float
    served: ServedQueue


def rival_of(claim: QueueClaim, others: Iterable[QueueClaim]) -> QueueClaim | None:
    """The QueueJob that has the queue instead of ``claim``, or None when it is ``claim``'s own."""
    same_queue = (other for other in others if other.served == claim.served)
    oldest = min(same_queue, key=_seniority, default=claim)
    return oldest if _seniority(oldest) < _seniority(claim) else None


def _seniority(claim: QueueClaim) -> tuple[float, str]:
    return claim.created, claim.uid
