"""The next time of a cron pattern, across changes of the clock. Most needs nothing; one test asks Node's
cron-parser.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd_worker.cron import PatternError, next_cron_ms
from tests.fixtures.node import NODE_FOLDER, install


def times(pattern: str, zone: str, after: str, count: int) -> list[str]:
    """The next ``count`` times in UTC, without year and seconds."""
    moment = int(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000)
    found = []
    for _ in range(count):
        following = next_cron_ms(pattern, zone, moment, "seed")
        assert following is not None
        moment = following
        found.append(datetime.fromtimestamp(moment / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("pattern", "zone", "after", "expected"),
    [
        # The official Python Worker fires these twice in spring, the first time an hour early.
        pytest.param(
            "0 0 * * *",
            "Europe/Prague",
            "2026-03-28T12:00",
            ["03-28 23:00", "03-29 22:00", "03-30 22:00"],
            id="midnight stays midnight in spring",
        ),
        pytest.param(
            "0 9 * * 1-5",
            "Europe/Prague",
            "2026-03-27T12:00",
            ["03-30 07:00", "03-31 07:00"],
            id="nine on workdays stays nine in spring",
        ),
        # … this one an hour late in autumn …
        pytest.param(
            "30 2 * * *",
            "Europe/Prague",
            "2026-10-24T12:00",
            ["10-25 00:30", "10-26 01:30"],
            id="a time that the clock shows twice happens the first time",
        ),
        # … and drops an hour of these.
        pytest.param(
            "0 * * * *",
            "Europe/Prague",
            "2026-10-24T23:30",
            ["10-25 00:00", "10-25 01:00", "10-25 02:00"],
            id="every hour is every hour in autumn",
        ),
        pytest.param(
            "*/30 * * * *",
            "Europe/Prague",
            "2026-10-25T00:10",
            ["10-25 00:30", "10-25 01:00", "10-25 01:30"],
            id="every half hour too",
        ),
        pytest.param(
            "0 * * * *",
            "Europe/Prague",
            "2026-03-29T00:30",
            ["03-29 01:00", "03-29 02:00"],
            id="every hour is every hour in spring",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Prague",
            "2026-03-28T12:00",
            ["03-29 01:30", "03-30 00:30"],
            id="a time that the clock skips happens as much later",
        ),
        pytest.param(
            "50,10 2,3 * * *",
            "Europe/Prague",
            "2026-03-29T00:30",
            ["03-29 01:10", "03-29 01:50", "03-30 00:10"],
            id="skipped and following times that coincide happen once, in order",
        ),
        pytest.param(
            "0 0 * * *",
            "America/Sao_Paulo",
            "2018-11-03T12:00",
            ["11-04 03:00", "11-05 02:00"],
            id="a day without midnight is not dropped",
        ),
        pytest.param(
            "*/10 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:35",
            ["04-04 14:40", "04-04 14:50", "04-04 15:00"],
            id="half an hour back",
        ),
        pytest.param(
            "0 12 * * 5L", "UTC", "2026-01-01T00:00", ["01-30 12:00", "02-27 12:00"], id="last Friday"
        ),
        pytest.param(
            "0 12 * * 1#2", "UTC", "2026-01-01T00:00", ["01-12 12:00", "02-09 12:00"], id="second Monday"
        ),
        pytest.param(
            "0 12 ? * MON", "UTC", "2026-01-01T00:00", ["01-05 12:00"], id="question mark and names"
        ),
        pytest.param(
            "0 30 12 * * *", "UTC", "2026-01-01T00:00", ["01-01 12:30"], id="six fields: seconds first"
        ),
        pytest.param("@daily", "UTC", "2026-01-01T00:00", ["01-02 00:00", "01-03 00:00"], id="nickname"),
        pytest.param("0 1 * * *", "UTC", "2026-01-01T01:00", ["01-02 01:00"], id="strictly after"),
    ],
)
def test_times(pattern: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(pattern, zone, after, len(expected)) == expected


def test_hashed_fields_stay_where_they_are_for_one_scheduler() -> None:
    assert next_cron_ms("H H * * *", "UTC", 0, "a") == next_cron_ms("H H * * *", "UTC", 0, "a")
    assert len({next_cron_ms("H H * * *", "UTC", 0, str(n)) for n in range(50)}) > 20


@pytest.mark.parametrize(
    ("pattern", "zone", "word"),
    [
        ("nonsense", "UTC", "nonsense"),
        ("61 * * * *", "UTC", "61"),
        ("* * * * *", "Europe/Atlantis", "Atlantis"),
    ],
)
def test_what_cannot_be_read_is_named(pattern: str, zone: str, word: str) -> None:
    with pytest.raises(PatternError, match=word):
        next_cron_ms(pattern, zone, 0, "seed")


def test_a_date_that_never_comes() -> None:
    assert next_cron_ms("0 0 31 2 *", "UTC", 0, "seed") is None


ZONES = [
    "UTC",
    "Europe/Prague",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
]
PATTERNS = [
    "*/7 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 0 * * *",
    "15 1,2,3 * * 0",
    "59 23 L * *",
    "5 4 1 * *",
]
moments = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 # hypothesis wants them naive


@given(pattern=st.sampled_from(PATTERNS), zone=st.sampled_from(ZONES), moment=moments)
def test_times_ascend_and_every_time_between_agrees(pattern: str, zone: str, moment: datetime) -> None:
    start = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    first = next_cron_ms(pattern, zone, start, "seed")
    assert first is not None
    second = next_cron_ms(pattern, zone, first, "seed")
    assert second is not None
    assert start < first < second
    # From anywhere between two times the next one is the same: nothing is skipped, nothing comes twice.
    for part in (1, 2, 3):
        between = first + (second - first) * part // 4
        if between < second:
            assert next_cron_ms(pattern, zone, between, "seed") == second


@given(zone=st.sampled_from(ZONES), moment=moments)
def test_a_daily_time_comes_once_each_local_day(zone: str, moment: datetime) -> None:
    at = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    days = []
    for _ in range(6):
        following = next_cron_ms("30 2 * * *", zone, at, "seed")
        assert following is not None
        at = following
        days.append(datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date())
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))


@pytest.mark.node
def test_node_agrees_around_the_clock_changes() -> None:
    """Whichever worker claims a scheduler's item computes the next time: both must say the same."""
    install("v6")
    rng = random.Random(7)
    cases = []
    for zone, change in [
        ("Europe/Prague", "2026-03-29T01:00"),
        ("Europe/Prague", "2026-10-25T01:00"),
        ("America/New_York", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T06:00"),
        ("Australia/Sydney", "2026-10-03T16:00"),
        ("UTC", "2026-06-01T00:00"),
    ]:
        base = datetime.fromisoformat(change).replace(tzinfo=UTC)
        for pattern in [
            *PATTERNS,
            "0 9 * * 1-5",
            "30 */2 * * *",
            "0 12 * * 5L",
            "*/15 * * * * *",
            "0 0 12 * * MON",
        ]:
            for _ in range(3):
                moment = base + timedelta(minutes=rng.randint(-2000, 200))
                cases.append([pattern, zone, int(moment.timestamp() * 1000)])
    script = """
        const { CronExpressionParser } = require("cron-parser");
        const cases = JSON.parse(require("fs").readFileSync(0));
        console.log(JSON.stringify(cases.map(([pattern, tz, at]) => {
          const times = CronExpressionParser.parse(pattern, { tz, currentDate: new Date(at) });
          return [0, 1, 2, 3].map(() => times.next().getTime());
        })));
    """
    node = shutil.which("node")
    assert node is not None
    ran = subprocess.run(
        [node, "-e", script],
        cwd=NODE_FOLDER / "v6",
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    for (pattern, zone, at), theirs in zip(cases, json.loads(ran.stdout), strict=True):
        ours, moment = [], at
        for _ in theirs:
            moment = next_cron_ms(pattern, zone, moment, "seed")
            ours.append(moment)
        assert ours == theirs, (pattern, zone, datetime.fromtimestamp(at / 1000, UTC))
