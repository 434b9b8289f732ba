"""When a worker is of use. Needs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bullherd_worker.health import Vitals, problems

NOW = 1000.0
WELL = Vitals(
    loop_turned_at=NOW - 4, redis_away_since=None, threads_left_behind=0, concurrency=2, draining=False
)


@pytest.mark.parametrize(
    ("vitals", "words"),
    [
        pytest.param(WELL, [], id="idle and well"),
        pytest.param(replace(WELL, redis_away_since=NOW - 59), [], id="Redis restarts"),
        pytest.param(
            replace(WELL, redis_away_since=NOW - 61), ["Redis has not answered for 61 s"], id="Redis is gone"
        ),
        pytest.param(
            replace(WELL, loop_turned_at=NOW - 31), ["fetch loop has not turned"], id="the loop stands"
        ),
        pytest.param(replace(WELL, loop_turned_at=NOW - 31, draining=True), [], id="it drains"),
        pytest.param(replace(WELL, threads_left_behind=1), [], id="one place held by a thread"),
        pytest.param(replace(WELL, threads_left_behind=2), ["All 2 places"], id="all places held by threads"),
    ],
)
def test_problems(vitals: Vitals, words: list[str]) -> None:
    found = problems(vitals, NOW, 60)
    assert len(found) == len(words)
    for problem, word in zip(found, words, strict=True):
        assert word in problem
