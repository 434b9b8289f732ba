"""Label selectors: what they mean and which are refused. Needs hypothesis.

``tests/server/test_selectors.py`` asks a real API server the same.
"""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullherd.core.label_selector import LabelSelector, MalformedSelector, Requirement
from tests.unit.core.selectors import GOOD, MALFORMED

EMAILS = {"queuejob": "emails", "queue": "emails", "prefix": "bull"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("  ", True),
        ("queuejob=emails", True),
        ("queuejob==emails", True),
        ("queuejob=sms", False),
        ("queuejob!=emails", False),
        ("queuejob!=sms", True),
        ("tier!=gold", True),
        ("tier=gold", False),
        ("queuejob in (sms, emails)", True),
        ("queuejob in (sms)", False),
        ("queuejob notin (sms)", True),
        ("queuejob notin (sms,emails)", False),
        ("tier notin (gold)", True),
        ("queue", True),
        ("tier", False),
        ("!queue", False),
        ("!tier", True),
        ("queue=", False),
        ("tier=", False),
        ("tier!=", True),
        ("queuejob=emails,prefix=bull", True),
        ("queuejob=emails,prefix=bee", False),
        ("queuejob=emails,queuejob=sms", False),
    ],
)
def test_matches(selector: str, matches: bool) -> None:
    assert LabelSelector.parse(selector).matches(EMAILS) is matches


@pytest.mark.parametrize("selector", GOOD)
def test_is_understood(selector: str) -> None:
    LabelSelector.parse(selector)


@pytest.mark.parametrize("selector", [*MALFORMED, "x>1", "x<1"])
def test_is_refused(selector: str) -> None:
    with pytest.raises(MalformedSelector, match=r"^The label selector cannot be read: .*\.$"):
        LabelSelector.parse(selector)


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("", None),
        ("queue=a", None),
        ("queuejob", None),
        ("queuejob!=a", None),
        ("!queuejob", None),
        ("queuejob=a", {"a"}),
        ("queuejob,queuejob=a", {"a"}),
        ("queuejob in (a,b),queue=c", {"a", "b"}),
        ("queuejob in (a,b),queuejob in (b,c)", {"b"}),
        ("queuejob=a,queuejob=b", set()),
    ],
)
def test_knows_the_only_values_that_a_label_may_have(selector: str, values: set[str] | None) -> None:
    assert LabelSelector.parse(selector).values_for("queuejob") == values


words = st.from_regex(r"\A[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?\Z")
prefixes = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?(\.[a-z0-9]{1,9}){0,2}\Z")
keys = st.one_of(words, st.builds("{}/{}".format, prefixes, words))
values = st.one_of(st.just(""), words, st.sampled_from(["in", "notin"]))
spaces = st.text(" \t\r\n", max_size=2)
gaps = st.text(" \t\r\n", min_size=1, max_size=2)


@st.composite
def requirements(draw: st.DrawFn) -> tuple[str, Requirement]:
    """A requirement as somebody may write it, and what it means."""
    key, left, right = draw(keys), draw(spaces), draw(spaces)
    kind = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "!"]))
    if kind == "exists":
        return f"{left}{key}{right}", Requirement(key, None)
    if kind == "!":
        return f"{left}!{right}{key}", Requirement(key, None, negated=True)
    if kind in ("in", "notin"):
        wanted = draw(st.lists(values, min_size=1, max_size=4))
        text = f"{key}{draw(gaps)}{kind}{left}({left}{f'{right},{left}'.join(wanted)}{right})"
        return text, Requirement(key, frozenset(wanted), kind == "notin")
    value = draw(values)
    return f"{left}{key}{right}{kind}{left}{value}{right}", Requirement(key, frozenset([value]), kind == "!=")


@given(st.lists(requirements(), max_size=4), st.dictionaries(keys, values, max_size=4))
def test_whatever_is_written_by_the_grammar_means_what_it_says(
    written: list[tuple[str, Requirement]], labels: dict[str, str]
) -> None:
    selector = LabelSelector.parse(",".join(text for text, _ in written))
    assert selector.requirements == tuple(requirement for _, requirement in written)
    assert selector.matches(labels) == all(one.matches(labels) for one in selector.requirements)


@given(requirements(), st.dictionaries(keys, values, max_size=2), st.data())
def test_a_requirement_and_its_opposite_part_all_labels(
    written: tuple[str, Requirement], labels: dict[str, str], data: st.DataObject
) -> None:
    _, one = written
    if data.draw(st.booleans()) and one.values:
        labels = {**labels, one.key: data.draw(st.sampled_from(sorted(one.values)))}
    opposite = Requirement(one.key, one.values, not one.negated)
    assert one.matches(labels) != opposite.matches(labels)


@given(st.lists(requirements(), max_size=4), words)
def test_the_only_values_of_a_label_lose_no_match(written: list[tuple[str, Requirement]], value: str) -> None:
    selector = LabelSelector(tuple(requirement for _, requirement in written))
    for key in {one.key for one in selector.requirements}:
        only = selector.values_for(key)
        tried = {value, *chain.from_iterable(one.values or () for one in selector.requirements)}
        assert all(only is None or one in only or not selector.matches({key: one}) for one in tried)


@given(st.text(max_size=40) | st.text(" ,=!()<>ainotx/.-é\x00", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = LabelSelector.parse(text)
    except MalformedSelector:
        return
    selector.matches(EMAILS)
