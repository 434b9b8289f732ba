"""From which moment the previous day counts. Pure: needs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from correction_aggregation.due import as_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DUE = datetime(2026, 11, 23, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DUE_MS = int(DUE.timestamp() * 1000)


@pytest.mark.parametrize(
    ("item_id", "due", "moment"),
    [
        pytest.param(
            f"repeat:daily-aggregation:{DUE_MS}", None, DUE, id="a job scheduler's item that runs late"
        ),
        pytest.param(
            f"repeat:26ed9818c85c24ddba3bfd98cac722c0:{DUE_MS}", None, DUE, id="bullmq 5's repeat option"
        ),
        pytest.param(f"repeat:with:colons:{DUE_MS}", None, DUE, id="a scheduler with colons in its name"),
        pytest.param(
            f"repeat:daily-aggregation:{DUE_MS}", DUE - SECOND, DUE, id="the id is exact, the delay is not"
        ),
        pytest.param(f"repeat:daily-aggregation:{DUE_MS + 10**9}", None, NOW, id="promoted before its time"),
        pytest.param("17", DUE, DUE, id="added by hand, and tried again the day after"),
        pytest.param("17", NOW + SECOND, NOW, id="added with a delay, and promoted"),
        pytest.param("17", None, NOW, id="added by hand, and nobody knows when"),
        pytest.param("repeat:daily-aggregation:soon", DUE, DUE, id="an id that only looks alike"),
        pytest.param("repeat:daily:" + "9" * 40, DUE, DUE, id="a number that is no time"),
    ],
)
def test_as_of(item_id: str, due: datetime | None, moment: datetime) -> None:
    assert as_of(item_id, due, NOW) == moment
