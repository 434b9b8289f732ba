"""Which of several QueueJobs has a queue. Needs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bullherd.core.claims import QueueClaim, ServedQueue, rival_of
from bullherd.core.snapshot import QueueKey

REDIS = "redis:6379/0"
MINE = QueueClaim("shop", "mine", "uid-m", 100.0, ServedQueue(REDIS, QueueKey("bull", "emails")))
OTHER = replace(MINE, name="other", uid="uid-o")


def old(served: ServedQueue) -> QueueClaim:
    """An older claim, of another queue."""
    return replace(OTHER, created=1.0, served=served)


ROWS = [
    ("nobody else wants the queue", [], False),
    ("only I am in the list", [MINE], False),
    ("an older one has it", [replace(OTHER, created=99.0)], True),
    ("a younger one has not", [replace(OTHER, created=101.0)], False),
    ("of two made in the same second the lower uid has it", [replace(OTHER, uid="uid-a")], True),
    ("and the higher one has not", [replace(OTHER, uid="uid-z")], False),
    ("another queue is no rival", [old(ServedQueue(REDIS, QueueKey("bull", "sms")))], False),
    ("another prefix is no rival", [old(ServedQueue(REDIS, QueueKey("b", "emails")))], False),
    ("another database is no rival", [old(replace(MINE.served, server="redis:6379/1"))], False),
    ("another namespace is a rival", [replace(OTHER, created=1.0, namespace="else")], True),
]


@pytest.mark.parametrize(("name", "others", "lost"), ROWS, ids=[row[0] for row in ROWS])
def test_rival(name: str, others: list[QueueClaim], lost: bool) -> None:
    rival = rival_of(MINE, others)
    assert (rival is not None) == lost, name


def test_exactly_one_of_all_claimants_has_the_queue() -> None:
    claims = [replace(MINE, name=f"n{n}", uid=f"u{n}", created=float(n % 3)) for n in range(9)]
    winners = [claim for claim in claims if rival_of(claim, claims) is None]
    assert [winner.name for winner in winners] == ["n0"]
    assert {rival.name for claim in claims if (rival := rival_of(claim, claims))} == {"n0"}
