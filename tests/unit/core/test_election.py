"""What a candidate does next about the Lease. Needs nothing."""

from __future__ import annotations

import pytest

from bullherd.core.election import LeaseMove, LeaseRecord, decide_lease_move
from bullherd.settings import OperatorSettings


def held_by(holder: str) -> LeaseRecord:
    return LeaseRecord(holder, duration=12.0, transitions=3, version="7")


ROWS = [
    ("there is no Lease: make it", None, 0.0, LeaseMove.CREATE),
    ("it is mine: renew it", held_by("me"), 0.0, LeaseMove.RENEW),
    ("it is mine and long not renewed: renew it all the same", held_by("me"), 99.0, LeaseMove.RENEW),
    ("another one renews it: wait", held_by("other"), 0.5, LeaseMove.WAIT),
    ("another one may still renew it in time: wait", held_by("other"), 12.0, LeaseMove.WAIT),
    ("another one let it run out: take it over", held_by("other"), 12.1, LeaseMove.TAKE_OVER),
    ("its holder left in good order: take it over at once", held_by(""), 0.0, LeaseMove.TAKE_OVER),
]


@pytest.mark.parametrize(("name", "record", "unchanged", "move"), ROWS, ids=[row[0] for row in ROWS])
def test_move(name: str, record: LeaseRecord | None, unchanged: float, move: LeaseMove) -> None:
    assert decide_lease_move(record, "me", unchanged) is move, name


@pytest.mark.parametrize("duration", [3.0, 12.0, 60.0])
def test_a_holder_gives_up_before_anybody_may_take_over(duration: float) -> None:
    terms = OperatorSettings(lease_duration_seconds=duration).lease_terms
    assert terms.retry_period < terms.renew_deadline < terms.duration
    assert terms.renew_deadline + terms.retry_period < terms.duration


def test_a_standby_leads_within_15_seconds() -> None:
    """It may see the last renewal one try late, and try again just before the Lease runs out."""
    terms = OperatorSettings().lease_terms
    assert terms.duration + 2 * terms.retry_period < 15
