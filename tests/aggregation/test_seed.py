"""Synthetic corrections: the same for everyone, said to be synthetic, added once. Needs PostgreSQL (see
postgres.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from correction_aggregation.curate import Correction, Lesson, curate
from correction_aggregation.schema import CorrectionRow
from correction_aggregation.seed import seed_days, synthetic_day

LAST_DAY = date(2026, 11, 23)


def test_seeding_again_adds_nothing(database: Engine) -> None:
    assert seed_days(database, count=5000, days=28, last_day=LAST_DAY, seed=1) == 5000
    assert seed_days(database, count=5000, days=28, last_day=LAST_DAY, seed=1) == 0
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(CorrectionRow)).scalar_one() == 5000


def test_the_next_day_only_that_day_is_added(database: Engine) -> None:
    seed_days(database, count=280, days=28, last_day=date(2026, 11, 22), seed=1)
    assert seed_days(database, count=280, days=28, last_day=LAST_DAY, seed=1) == 10


@given(day=st.dates(date(2020, 1, 1), date(2030, 1, 1)), rows=st.integers(0, 200), seed=st.integers())
def test_a_day_is_the_same_every_time_in_order_and_within_the_day(day: date, rows: int, seed: int) -> None:
    first = list(synthetic_day(day, rows, seed))
    assert first == list(synthetic_day(day, rows, seed))
    assert len(first) == rows
    times = [row["created_at"] for row in first]
    assert times == sorted(times)
    assert all(moment.date() == day for moment in times)


def test_every_row_says_that_it_is_synthetic() -> None:
    for row in synthetic_day(LAST_DAY, 1000, 1):
        assert row["reviewer"].startswith("synthetic-reviewer-")
        assert "ynthetic" in row["prompt"] or not row["prompt"].strip()
        assert row["model_response"].startswith("Synthetic response")


def test_a_thousand_rows_show_every_outcome() -> None:
    rows = [
        Correction(id=n, **_without_reviewer(row)) for n, row in enumerate(synthetic_day(LAST_DAY, 1000, 1))
    ]
    outcomes = [curate(row) for row in rows]
    lessons = [outcome for outcome in outcomes if isinstance(outcome, Lesson)]
    assert 0.8 < len(lessons) / len(rows) < 0.95
    assert {str(outcome) for outcome in outcomes if not isinstance(outcome, Lesson)} == {
        "prompt_empty",
        "not_corrected_and_not_rated",
        "not_corrected_and_rated_low",
    }
    fingerprints = [lesson.supervised.fingerprint for lesson in lessons]
    assert 20 < len(fingerprints) - len(set(fingerprints)) < 100


def _without_reviewer(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "reviewer"}
