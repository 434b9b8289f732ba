"""What becomes of a failed attempt, as a table. Needs nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd_worker.retry import (
    LONGEST_DELAY_MS,
    Decision,
    FailForGood,
    RetryLater,
    RetryNow,
    backoff_delay,
    decide,
)


@pytest.mark.parametrize(
    ("attempts", "made", "backoff", "recoverable", "expected"),
    [
        pytest.param(0, 0, None, True, FailForGood(), id="no attempts option: one attempt"),
        pytest.param(1, 0, None, True, FailForGood(), id="one attempt, used"),
        pytest.param(3, 0, None, True, RetryNow(), id="no backoff: at once"),
        pytest.param(3, 1, None, True, RetryNow(), id="second of three"),
        pytest.param(3, 2, None, True, FailForGood(), id="third of three"),
        pytest.param(3, 0, None, False, FailForGood(), id="unrecoverable whatever is left"),
        pytest.param(3, 0, 500, True, RetryLater(500), id="a number is a fixed backoff"),
        pytest.param(3, 0, 0, True, RetryNow(), id="zero is at once"),
        pytest.param(3, 1, {"type": "fixed", "delay": 700}, True, RetryLater(700), id="fixed"),
        pytest.param(
            9, 0, {"type": "exponential", "delay": 100}, True, RetryLater(100), id="exponential, first"
        ),
        pytest.param(
            9, 3, {"type": "exponential", "delay": 100}, True, RetryLater(800), id="exponential, fourth"
        ),
        pytest.param(9, 0, {"type": "fixed", "delay": -1}, True, FailForGood(), id="-1 means never"),
        pytest.param(9, 0, {"type": "exponential"}, True, RetryNow(), id="exponential without delay"),
        pytest.param(
            9, 0, {"type": "mine", "delay": 40}, True, RetryLater(40), id="unknown type: its delay, fixed"
        ),
        pytest.param(
            9, 0, {"type": "mine"}, True, RetryLater(1000), id="unknown type without delay: a second"
        ),
        pytest.param(9, 0, "rubbish", True, RetryNow(), id="backoff that is no backoff"),
        pytest.param(
            5000, 2000, {"type": "exponential", "delay": 9}, True, RetryLater(LONGEST_DELAY_MS), id="capped"
        ),
    ],
)
def test_decision(attempts: int, made: int, backoff: Any, recoverable: bool, expected: Decision) -> None:
    assert (
        decide(attempts=attempts, attempts_made=made, backoff=backoff, recoverable=recoverable, chance=0.5)
        == expected
    )


@pytest.mark.parametrize(
    ("backoff", "attempt", "chance", "delay"),
    [
        # Node: floor(random * delay * jitter + delay * (1 - jitter))
        ({"type": "fixed", "delay": 1000, "jitter": 0.5}, 1, 0.0, 500),
        ({"type": "fixed", "delay": 1000, "jitter": 0.5}, 1, 0.5, 750),
        ({"type": "fixed", "delay": 1000, "jitter": 1}, 1, 0.0, 0),
        ({"type": "exponential", "delay": 100, "jitter": 0.2}, 3, 0.999, 399),
        ({"type": "exponential", "delay": 0.5}, 1, 0.0, 1),  # Math.round(0.5) is 1, Python's round is 0
        ({"type": "exponential", "delay": 2.5}, 1, 0.0, 3),
    ],
)
def test_jitter_and_rounding_are_nodes(backoff: Any, attempt: int, chance: float, delay: int) -> None:
    assert backoff_delay(backoff, attempt, chance) == delay


@given(
    kind=st.sampled_from(["fixed", "exponential", "other"]),
    delay=st.one_of(
        st.integers(0, 10**12), st.floats(allow_nan=True, allow_infinity=True), st.none(), st.text()
    ),
    jitter=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    attempt=st.integers(1, 10_000),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_any_option_gives_a_delay_that_redis_can_hold(
    kind: str, delay: Any, jitter: Any, attempt: int, chance: float
) -> None:
    result = backoff_delay({"type": kind, "delay": delay, "jitter": jitter}, attempt, chance)
    assert isinstance(result, int)
    assert result == -1 or 0 <= result <= LONGEST_DELAY_MS


@given(
    delay=st.integers(1, 100_000),
    jitter=st.floats(0, 1),
    attempt=st.integers(1, 12),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_jitter_only_shortens_and_growth_is_doubling(
    delay: int, jitter: float, attempt: int, chance: float
) -> None:
    plain = backoff_delay({"type": "exponential", "delay": delay}, attempt, chance)
    assert plain == min(delay * 2 ** (attempt - 1), LONGEST_DELAY_MS)
    jittered = backoff_delay({"type": "exponential", "delay": delay, "jitter": jitter}, attempt, chance)
    assert int(plain * (1 - jitter)) - 1 <= jittered <= plain
