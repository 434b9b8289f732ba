"""Synthetic corrections, for demos and tests: every prompt and reviewer says that it is synthetic.

A day's rows depend on the seed, the day and their number alone, so that two machines get the same; a day
that already has synthetic rows is left as it is, so that seeding again adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, text

from correction_aggregation.database import connected
from correction_aggregation.schema import CorrectionRow
from correction_aggregation.time_range import ONE_DAY

REVIEWERS = [f"synthetic-reviewer-{n:02}" for n in range(1, 13)]
CATEGORIES = ["code", "facts", "math", "safety", "tone"]
LOCK = 0x0C0_44EC_7105
ROWS_PER_INSERT = 1000

SHARE_REPEATED = 0.06
SHARE_APPROVED = 0.14
SHARE_RATED_LOW = 0.05
SHARE_UNRATED = 0.04
SHARE_EMPTY = 0.01
"""The rest has a correction that differs from the response."""


def seed_days(engine: Engine, *, count: int, days: int, last_day: date, seed: int) -> int:
    """Add `count` rows spread over the days up to and with `last_day`; the answer is how many were new."""
    added = 0
    with connected(engine) as connection, connection.begin():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        for number in range(days):
            day = last_day - (days - 1 - number) * ONE_DAY
            rows = count // days + (number < count % days)
            if not _has_synthetic_rows(connection, day):
                added += _insert(connection, synthetic_day(day, rows, seed))
    return added


def synthetic_day(day: date, rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of one day in UTC, in the order of their times."""
    random = Random(f"{seed}/{day.isoformat()}/{rows}")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    moments = sorted(random.randrange(ONE_DAY // timedelta(milliseconds=1)) for _ in range(rows))
    earlier: list[dict[str, Any]] = []
    for number, moment in enumerate(moments, start=1):
        if earlier and random.random() < SHARE_REPEATED:
            row = dict(random.choice(earlier))
        else:
            row = _row(random, f"{day.isoformat()} no. {number}")
            earlier.append(row)
        yield row | {
            "reviewer": random.choice(REVIEWERS),
            "created_at": midnight + timedelta(milliseconds=moment),
        }


def _row(random: Random, label: str) -> dict[str, Any]:
    a, b = random.randrange(2, 100), random.randrange(2, 100)
    row = {
        "prompt": f"Synthetic prompt {label}: what is {a} times {b}?",
        "model_response": f"Synthetic response: it is {a * b + random.choice([-10, -1, 1, 10])}.",
        "corrected_response": f"Synthetic correction: {a} times {b} is {a * b}.",
        "rating": random.randint(1, 3),
        "category": random.choice(CATEGORIES),
    }
    kind = random.random()
    if kind < (limit := SHARE_APPROVED):
        row |= {
            "model_response": f"Synthetic response: it is {a * b}.",
            "corrected_response": None,
            "rating": random.randint(4, 5),
        }
    elif kind < (limit := limit + SHARE_RATED_LOW):
        row["corrected_response"] = None
    elif kind < (limit := limit + SHARE_UNRATED):
        row |= {"corrected_response": None, "rating": None}
    elif kind < limit + SHARE_EMPTY:
        row["prompt"] = "  "
    return row


def _has_synthetic_rows(connection: Connection, day: date) -> bool:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    statement = (
        select(func.count())
        .select_from(CorrectionRow)
        .where(
            CorrectionRow.created_at >= midnight,
            CorrectionRow.created_at < midnight + ONE_DAY,
            CorrectionRow.reviewer.in_(REVIEWERS),
        )
    )
    return connection.execute(statement).scalar_one() > 0


def _insert(connection: Connection, rows: Iterator[dict[str, Any]]) -> int:
    batch: list[dict[str, Any]] = []
    added = 0
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_INSERT:
            connection.execute(insert(CorrectionRow), batch)
            added += len(batch)
            batch = []
    if batch:
        connection.execute(insert(CorrectionRow), batch)
    return added + len(batch)
