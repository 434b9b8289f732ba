"""Which item follows a scheduler's item, and with which options. Needs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd_worker.schedules import NextRun, ScheduleError, next_run

NOW = 1_767_225_600_000  # 2026-01-01T00:00Z
HOUR = 3_600_000


def run(repeat: dict[str, Any], **options: Any) -> NextRun | None:
    return next_run({"repeat": repeat, **options}, "nightly", NOW)


def test_a_pattern_sets_time_delay_and_count() -> None:
    following = run({"pattern": "0 1 * * *", "count": 4}, attempts=3, jobId="old", prevMillis=NOW - HOUR)
    assert following is not None
    assert following.at_ms == NOW + HOUR
    assert following.options["delay"] == HOUR
    assert following.options["prevMillis"] == NOW + HOUR
    assert following.options["attempts"] == 3
    assert following.options["repeatJobKey"] == "nightly"
    assert following.options["repeat"] == {"pattern": "0 1 * * *", "count": 5}


@pytest.mark.parametrize(
    ("repeat", "options", "at"),
    [
        pytest.param(
            {"pattern": "0 1 * * *"},
            {"prevMillis": NOW + HOUR},
            NOW + 25 * HOUR,
            id="run early: from its own time",
        ),
        pytest.param({"pattern": "0 1 * * *", "tz": "Europe/Prague"}, {}, NOW + 24 * HOUR, id="in its zone"),
        pytest.param({"cron": "0 1 * * *"}, {}, NOW + HOUR, id="BullMQ 3's name for it"),
        pytest.param(
            {"pattern": "0 1 * * *", "tz": "Europe/Prague", "utc": True}, {}, NOW + HOUR, id="utc wins"
        ),
        pytest.param(
            {"pattern": "0 1 * * *", "startDate": NOW + 3 * HOUR},
            {},
            NOW + 25 * HOUR,
            id="not before its start",
        ),
        pytest.param(
            {"pattern": "0 1 * * *", "startDate": "2026-01-03T00:00:00.000Z"},
            {},
            NOW + 49 * HOUR,
            id="start as text",
        ),
        pytest.param(
            {"pattern": "0 1 * * *", "limit": 5, "count": 4}, {}, NOW + HOUR, id="last one within the limit"
        ),
        pytest.param({"pattern": "0 1 * * *", "limit": 5, "count": 5}, {}, None, id="limit reached"),
        pytest.param({"pattern": "0 1 * * *", "endDate": NOW - 1}, {}, None, id="end date is over"),
        pytest.param(
            {"pattern": "0 1 * * *", "endDate": NOW + 1}, {}, None, id="the next one is beyond the end"
        ),
        pytest.param({"every": 5000}, {}, NOW, id="every: the script computes it"),
        pytest.param({"every": 5000, "limit": 2, "count": 2}, {}, None, id="every, limit reached"),
    ],
)
def test_when(repeat: dict[str, Any], options: dict[str, Any], at: int | None) -> None:
    following = run(repeat, **options)
    assert (None if following is None else following.at_ms) == at


@pytest.mark.parametrize("repeat", [{}, {"pattern": "rubbish"}, {"pattern": "* * * * *", "endDate": "soon"}])
def test_a_schedule_that_cannot_be_read_says_so(repeat: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError):
        run(repeat)
