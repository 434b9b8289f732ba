"""What the text of a schedule is read as, and what is refused with which words. Needs nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.cron import CronSchedule, zone_named
from bullherd.cron.fields import NICKNAMES, CronFields

ALL_MINUTES = tuple(range(60))


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        pytest.param("*", ALL_MINUTES, id="all"),
        pytest.param("?", ALL_MINUTES, id="a question mark is a star"),
        pytest.param("7", (7,), id="one"),
        pytest.param("07", (7,), id="a leading zero"),
        pytest.param("3,1,2,1", (1, 2, 3), id="a list in any order"),
        pytest.param("1-1", (1,), id="a range of one is no whole cycle, as it is for croniter"),
        pytest.param("10-13", (10, 11, 12, 13), id="a range"),
        pytest.param("0-59", ALL_MINUTES, id="the range of all"),
        pytest.param("*/15", (0, 15, 30, 45), id="steps of all"),
        pytest.param("?/15", (0, 15, 30, 45), id="steps of a question mark"),
        pytest.param("5/15", (5, 20, 35, 50), id="steps from one on"),
        pytest.param("59/15", (59,), id="steps from the last"),
        pytest.param("10-20/5", (10, 15, 20), id="steps in a range"),
        pytest.param("10-10/5", (10,), id="steps in a range of one"),
        pytest.param("*/90", (0,), id="a step that is too long leaves the first"),
        pytest.param("1-3,20/20,59", (1, 2, 3, 20, 40, 59), id="all of it"),
    ],
)
def test_numbers(minute: str, expected: tuple[int, ...]) -> None:
    assert CronFields.parse(f"{minute} * * * *").minutes == expected


def test_five_fields_are_on_the_minute_and_six_have_seconds_first() -> None:
    assert CronFields.parse("1 2 3 4 5") == CronFields(
        (0,), (1,), (2,), frozenset({3}), (4,), frozenset({5}), any_day=True
    )
    assert CronFields.parse("0 1 2 3 4 5") == CronFields.parse("1 2 3 4 5")
    assert CronFields.parse("*/20 1 2 3 4 5").seconds == (0, 20, 40)


def test_spaces_are_free() -> None:
    assert CronFields.parse("  1\t2  3 4 5 ") == CronFields.parse("1 2 3 4 5")


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ("0 0 * jan,DEC *", "0 0 * 1,12 *"),
        ("0 0 * apr-Oct/2 *", "0 0 * 4-10/2 *"),
        ("0 0 * * sun,Mon", "0 0 * * 0,1"),
        ("0 0 * * mon-FRI", "0 0 * * 1-5"),
        ("0 0 * * tue/2", "0 0 * * 2/2"),
    ],
)
def test_names_are_numbers(names: str, numbers: str) -> None:
    assert CronFields.parse(names) == CronFields.parse(numbers)


@pytest.mark.parametrize(("nickname", "fields"), NICKNAMES.items())
def test_nicknames_are_fields(nickname: str, fields: str) -> None:
    assert CronFields.parse(nickname) == CronFields.parse(fields)


@pytest.mark.parametrize(
    ("days", "any_day"),
    [
        ("* * *", False),
        ("1 * *", False),
        ("* * 1", False),
        ("? * 1", False),
        ("1 * ?", False),
        ("*/1 * 1", False),
        ("*,1 * 1", False),
        ("1 * 1", True),
        ("*/2 * 1", True),
        ("1-31 * 1", True),
        ("1 * 0-6", True),
        ("*/2 * */2", True),
    ],
)
def test_one_kind_of_day_is_enough_only_if_no_star_stands_for_either(days: str, any_day: bool) -> None:
    assert CronFields.parse(f"0 0 {days}").any_day is any_day


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "'' has 0 fields. Write five: minute", id="nothing"),
        pytest.param("*", "'*' has 1 field. Write five", id="one field"),
        pytest.param("0 8 * *", "has 4 fields", id="four fields"),
        pytest.param("0 0 8 * * * *", "has 7 fields", id="seven fields"),
        pytest.param("60 * * * *", "minute '60' is out of range: it goes from 0 to 59", id="minute 60"),
        pytest.param("0 24 * * *", "hour '24' is out of range: it goes from 0 to 23", id="hour 24"),
        pytest.param("0 0 0 * *", "day of month '0' is out of range: it goes from 1 to 31", id="day 0"),
        pytest.param("0 0 32 * *", "day of month '32'", id="day 32"),
        pytest.param("0 0 * 13 *", "month '13' is out of range: it goes from 1 to 12", id="month 13"),
        pytest.param("60 0 0 * * *", "second '60'", id="second 60"),
        pytest.param(
            "0 0 * * 7", "day of week '7' is out of range: it goes from 0 to 6. Sunday is 0", id="7"
        ),
        pytest.param("0 0 * * 5-7", "day of week '5-7' is out of range", id="a range to 7"),
        pytest.param("0 0 * * 8", "it goes from 0 to 6", id="8"),
        pytest.param(
            "0 0 * * 1-0", "day of week '1-0' goes backwards. Write 1-6,0-0", id="a range to Sunday"
        ),
        pytest.param(
            "0 22-2 * * *", "hour '22-2' goes backwards. Write 22-23,0-2", id="a range over midnight"
        ),
        pytest.param(
            "0 0 * * sat-sun", "goes backwards. Write sat-6,0-sun", id="a range over the week's end"
        ),
        pytest.param("*/0 * * * *", "minute '*/0': a step is 1 or more. Write */1", id="step 0"),
        pytest.param("1-5/0 * * * *", "a step is 1 or more. Write 1-5/1", id="step 0 in a range"),
        pytest.param("1,,2 * * * *", "minute '' cannot be read", id="nothing in a list"),
        pytest.param("1/ * * * *", "minute '1/' cannot be read", id="a step without a number"),
        pytest.param("/5 * * * *", "minute '/5' cannot be read", id="a step of nothing"),
        pytest.param("1-2-3 * * * *", "minute '1-2-3' cannot be read", id="a range of three"),
        pytest.param("*-5 * * * *", "minute '*-5' cannot be read", id="a range from a star"),
        pytest.param("-5 * * * *", "minute '-5' cannot be read", id="a number below 0"),
        pytest.param("+5 * * * *", "minute '+5' cannot be read", id="a sign"),
        pytest.param("1.5 * * * *", "minute '1.5' cannot be read", id="half a minute"),
        pytest.param("٣ * * * *", "cannot be read", id="digits of another script"),
        pytest.param("9" * 5000 + " * * * *", "cannot be read", id="an endless number"),
        pytest.param("jan * * * *", "minute 'jan' cannot be read", id="a name in the wrong field"),
        pytest.param("0 0 * jan-foo *", "month 'jan-foo' cannot be read", id="a name that is none"),
        pytest.param("0 0 * january *", "month 'january' cannot be read", id="a whole name"),
        pytest.param("0 0 * * {0}", "day of week '{0}' cannot be read", id="braces"),
        pytest.param("0 0 L * *", "day of month 'L' is of another kind of cron", id="L"),
        pytest.param("0 0 LW * *", "'LW' is of another kind of cron", id="LW"),
        pytest.param("0 0 15W * *", "'15W' is of another kind of cron", id="15W"),
        pytest.param("0 0 * * 5L", "day of week '5L' is of another kind of cron", id="5L"),
        pytest.param("0 0 * * L5", "'L5' is of another kind of cron", id="croniter's L5"),
        pytest.param("0 0 * * fri#2", "'fri#2' is of another kind of cron", id="fri#2"),
        pytest.param("H * * * *", "minute 'H' is of another kind of cron", id="H"),
        pytest.param("H/15 * * * *", "'H/15' is of another kind of cron", id="H/15"),
        pytest.param("H(0-29)/10 * * * *", "is of another kind of cron", id="H with a range"),
        pytest.param("R * * * *", "'R' is of another kind of cron", id="R"),
        pytest.param(
            "@every 5m", "'@every 5m' is not known. Write five fields such as '*/5 * * * *'", id="@every"
        ),
        pytest.param("@reboot", "'@reboot' is not known", id="@reboot"),
        pytest.param("@Daily", "'@Daily' is not known", id="a nickname with a capital"),
        pytest.param("TZ=UTC 0 8 * * *", "names a time zone. Write it into", id="TZ="),
        pytest.param("CRON_TZ=UTC 0 8 * * *", "names a time zone", id="CRON_TZ="),
        pytest.param(
            "0 0 31 2 *", "'0 0 31 2 *' never happens: there is no day 31 in month 2", id="31 February"
        ),
        pytest.param("0 0 30,31 feb *", "there is no day 30,31 in month feb", id="30 and 31 February"),
        pytest.param("0 0 31 2,4,6,9,11 *", "never happens", id="the 31st of all short months"),
        pytest.param("0 0 30-31 2 ?", "never happens", id="no day, with a question mark"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 # its words are what is compared
        CronFields.parse(text)
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 31 2,3 *", "0 0 31 2 1", "0 0 30 4-6 *"])
def test_what_comes_in_some_years_or_on_some_weekdays_is_good(text: str) -> None:
    CronFields.parse(text)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe/Atlantis",
        "europe/berlin",
        "Europe",
        "Local",
        "localtime",
        "right/UTC",
        "../UTC",
        "UTC+2",
        "a\0b",
    ],
)
def test_what_is_no_time_zone_is_said(name: str) -> None:
    with pytest.raises(ValueError, match="IANA name such as Europe/Berlin or UTC"):
        CronSchedule.parse("@daily", name)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Etc/GMT+2", "America/Argentina/Buenos_Aires", "CET"]
)
def test_time_zones(name: str) -> None:
    assert zone_named(name).key == name


texts = st.one_of(
    st.text(),
    st.text("0123456789*?,-/@# \tLWHRjansutz", max_size=40),
    st.lists(st.text("0123456789*?,-/", max_size=8), min_size=5, max_size=6).map(" ".join),
)


@given(texts)
def test_whatever_the_text_it_is_read_or_refused_in_words(text: str) -> None:
    with suppress(ValueError):
        fields = CronFields.parse(text)
        assert all(
            [fields.seconds, fields.minutes, fields.hours, fields.days, fields.months, fields.weekdays]
        )
