"""Leader election on a ``coordination.k8s.io`` Lease, as a pure decision.

The rules are those of client-go: a candidate never compares its clock with the holder's. It notes when *it*
saw the Lease change last and takes over once that is longer ago than the Lease's duration. Two candidates may
both try; the API server's resourceVersion check lets one of them through. A holder that leaves in good order
empties ``holder``, so that a rolling update does not wait for the duration to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Seconds. ``renew_deadline`` < ``duration``: a holder gives up before anybody else may take over."""

    duration: float
    renew_deadline: float
    retry_period: float


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What stands in the Lease. ``version`` is its resourceVersion."""

    holder: str
    duration: float
    transitions: int
    version: str


class LeaseMove(Enum):
    """What a candidate does next."""

    CREATE = "create"
    RENEW = "renew"
    TAKE_OVER = "take over"
    WAIT = "wait"


def decide_lease_move(record: LeaseRecord | None, me: str, unchanged_for: float) -> LeaseMove:
    """``unchanged_for``: seconds since this candidate saw the Lease change last."""
    if record is None:
        return LeaseMove.CREATE
    if record.holder == me:
        return LeaseMove.RENEW
    if not record.holder or unchanged_for > record.duration:
        return LeaseMove.TAKE_OVER
    return LeaseMove.WAIT
