"""What rows become, and that every row is counted once. Pure: needs nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correction_aggregation.curate import Correction, Lesson, Unusable, curate
from correction_aggregation.tally import RowsUnaccountedError, Tally

MOMENT = datetime(2026, 11, 1, tzinfo=UTC)


def row(
    prompt: str = "2+2?",
    response: str = "5",
    correction: str | None = "4",
    rating: int | None = 2,
    category: str | None = "math",
    number: int = 1,
) -> Correction:
    return Correction(number, prompt, response, correction, rating, category, MOMENT)


@pytest.mark.parametrize(
    ("given_row", "chosen", "rejected", "completion", "source"),
    [
        pytest.param(row(), "4", "5", "4", "corrected", id="a correction is preferred over the response"),
        pytest.param(row(rating=None), "4", "5", "4", "corrected", id="a correction needs no rating"),
        pytest.param(
            row(rating=5), "4", "5", "4", "corrected", id="a correction counts more than a good rating"
        ),
        pytest.param(
            row(response=" \n"), None, None, "4", "corrected", id="nothing to reject, only to learn"
        ),
        pytest.param(row(correction=None, rating=4), None, None, "5", "approved", id="marked good as it is"),
        pytest.param(
            row(correction="", rating=5), None, None, "5", "approved", id="an empty correction is none"
        ),
        pytest.param(
            row(correction="5\r\n", rating=5), None, None, "5", "approved", id="the same text again"
        ),
        pytest.param(row(correction=" 4 "), " 4 ", "5", " 4 ", "corrected", id="texts are kept as they are"),
    ],
)
def test_usable(
    given_row: Correction, chosen: str | None, rejected: str | None, completion: str, source: str
) -> None:
    lesson = curate(given_row)
    assert isinstance(lesson, Lesson)
    preference = lesson.preference
    assert (preference and preference.chosen, preference and preference.rejected) == (chosen, rejected)
    assert (lesson.supervised.completion, lesson.supervised.source) == (completion, source)


@pytest.mark.parametrize(
    ("given_row", "reason"),
    [
        (row(prompt=" \t\n"), Unusable.PROMPT_EMPTY),
        (row(response="", correction=None, rating=5), Unusable.RESPONSE_AND_CORRECTION_EMPTY),
        (row(correction=None, rating=None), Unusable.NOT_CORRECTED_AND_NOT_RATED),
        (row(correction="5", rating=None), Unusable.NOT_CORRECTED_AND_NOT_RATED),
        (row(correction=None, rating=3), Unusable.NOT_CORRECTED_AND_RATED_LOW),
        (row(correction="5 ", rating=1), Unusable.NOT_CORRECTED_AND_RATED_LOW),
    ],
)
def test_unusable(given_row: Correction, reason: Unusable) -> None:
    assert curate(given_row) is reason
    assert reason.explanation.endswith(".")


@pytest.mark.parametrize(
    ("second", "new"),
    [
        pytest.param(row(), (False, False), id="the same again"),
        pytest.param(
            row(prompt=" 2+2?\r\n", rating=1, category="other"), (False, False), id="only white space differs"
        ),
        pytest.param(
            row(response="6"), (True, False), id="another wrong answer: a new preference, the same completion"
        ),
        pytest.param(row(correction="four"), (True, True), id="another correction"),
        pytest.param(
            row(response="4", correction=None, rating=5), (False, False), id="approved what was corrected to"
        ),
        pytest.param(
            row(response="4", correction="5"), (True, True), id="the opposite opinion is an opinion"
        ),
    ],
)
def test_what_a_second_row_adds(second: Correction, new: tuple[bool, bool]) -> None:
    tally = Tally()
    tally.take(row())
    pairs = tally.take(second)
    assert (pairs.preference is not None, pairs.supervised is not None) == new
    assert tally.duplicates == (new == (False, False))


def test_composed_and_decomposed_letters_are_the_same_text() -> None:
    tally = Tally()
    tally.take(row(correction="caf\u00e9"))
    tally.take(row(correction="cafe\u0301"))
    assert (tally.used, tally.duplicates) == (1, 1)


TEXTS = st.sampled_from(["", " ", "a", "b", "a ", "ab", "\u00e9", "e\u0301"])
ROWS = st.builds(
    row,
    prompt=TEXTS,
    response=TEXTS,
    correction=st.none() | TEXTS,
    rating=st.none() | st.integers(1, 5),
    category=st.none() | TEXTS,
)


@given(st.lists(ROWS))
def test_every_row_is_counted_once_and_no_pair_is_written_twice(rows: list[Correction]) -> None:
    tally = Tally()
    written: list[tuple[str, ...]] = []
    for one in rows:
        pairs = tally.take(one)
        if pairs.preference:
            written.append(("preference", pairs.preference.fingerprint.hex()))
        if pairs.supervised:
            written.append(("supervised", pairs.supervised.fingerprint.hex()))
    tally.check(len(rows))
    assert tally.read == len(rows) == tally.used + tally.duplicates + tally.unusable.total()
    assert len(written) == len(set(written))
    counted = tally.categories.values()
    assert sum(count.preference + count.supervised for count in counted) == len(written)
    assert set(tally.categories) <= {"a", "b", "ab", "\u00e9", "e\u0301", "uncategorized"}


def test_a_row_that_was_not_read_stops_everything() -> None:
    tally = Tally()
    tally.take(row())
    with pytest.raises(RowsUnaccountedError, match="2 rows are in the range, 1 were read"):
        tally.check(2)
