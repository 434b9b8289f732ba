"""Registering job kinds, and what passes through their models. Needs nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field

from bullherd_worker import JobContext, PlainJobContext, Registry
from bullherd_worker.errors import InvalidItemError, UnknownJobKindError, UnrecoverableError
from bullherd_worker.item import keep_jobs, parse_item, parse_options
from bullherd_worker.outcome import add_trace


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)
    tags: list[int] = []


@dataclass
class Total:
    total: int


def registry() -> Registry:
    kinds = Registry()

    @kinds.job("people-count", data=Person, result=Total)
    async def count(data: Person, context: JobContext) -> Total:
        return Total(data.age)

    @kinds.job("anything")
    def anything(data: Any, context: PlainJobContext) -> Any:
        return data

    return kinds


def test_data_become_the_model() -> None:
    assert registry().get("people-count").read_data(b'{"name": "A", "age": 3}') == Person(name="A", age=3)
    assert registry().get("anything").read_data(b"[1, null]") == [1, None]


def test_a_misfit_names_field_and_reason_and_no_value() -> None:
    with pytest.raises(InvalidItemError) as caught:
        registry().get("people-count").read_data(b'{"name": 4711, "age": -5, "tags": [1, "secret"]}')
    text = str(caught.value)
    assert "name: Input should be a valid string" in text
    assert "age: Input should be greater than or equal to 0" in text
    assert "tags.1: Input should be a valid integer" in text
    assert not any(value in text for value in ("4711", "-5", "secret"))
    assert isinstance(caught.value, UnrecoverableError)


def test_many_problems_are_summed_up() -> None:
    raw = json.dumps({"name": "A", "age": 1, "tags": ["x"] * 20}).encode()
    with pytest.raises(InvalidItemError, match="and 15 more"):
        registry().get("people-count").read_data(raw)


@pytest.mark.parametrize("kind", ["people-count", "anything"])
@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b""])
def test_data_that_are_no_json(kind: str, raw: bytes) -> None:
    with pytest.raises(InvalidItemError):
        registry().get(kind).read_data(raw)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        ({"a": float("nan")}, b'{"a":null}'),
        ("č", '"č"'.encode()),
        (Total(3), b'{"total":3}'),
    ],
)
def test_results_become_json_that_node_can_read(value: Any, expected: bytes) -> None:
    assert registry().get("anything").write_result(value) == expected


def test_a_result_that_does_not_fit() -> None:
    assert registry().get("people-count").write_result(Total(3)) == b'{"total":3}'
    with pytest.raises(InvalidItemError, match="total"):
        registry().get("people-count").write_result({"sum": 3})
    with pytest.raises(InvalidItemError, match="cannot be written as JSON"):
        registry().get("anything").write_result(object())


def test_plain_functions_are_told_from_async_ones() -> None:
    assert registry().get("anything").plain
    assert not registry().get("people-count").plain
    assert registry().get("people-count").event == "people_count"


def test_two_functions_for_one_name() -> None:
    kinds = registry()
    with pytest.raises(ValueError, match="registered twice"):

        @kinds.job("anything")
        async def again(data: Any, context: JobContext) -> None: ...


def test_a_function_that_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="two arguments"):

        @Registry().job("short")
        async def short(data: Any) -> None: ...


def test_a_timeout_of_nothing() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Registry().job("never", timeout=0)


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(UnknownJobKindError, match="anything, people-count"):
        registry().get("peopel-count")


def test_an_item_of_odd_bytes_is_read_all_the_same() -> None:
    fields = [b"name", b"\xff x\n", b"data", b"{}", b"opts", b"no json", b"atm", b"x", b"defa", b"\xfe"]
    item = parse_item(b"\xffid", fields)
    assert item.raw_id == b"\xffid"
    assert item.options.attempts == 0
    assert item.attempts_made == 0
    assert item.deferred_failure == "\ufffd"


@pytest.mark.parametrize(
    ("option", "keep"),
    [
        (None, {"count": -1}),
        (True, {"count": 0}),
        (False, {"count": -1}),
        (7, {"count": 7}),
        (0, {"count": 0}),
        ({"age": 60}, {"age": 60}),
        ({"count": 3, "age": 9}, {"count": 3, "age": 9}),
    ],
)
def test_how_many_finished_items_are_kept(option: Any, keep: dict[str, Any]) -> None:
    assert keep_jobs(option) == keep


def test_options_in_both_spellings() -> None:
    assert parse_options(b'{"kl": 5, "fpof": true}').keep_logs == 5
    options = parse_options(b'{"keepLogs": 6, "removeDependencyOnFailure": true, "attempts": "many"}')
    assert (options.keep_logs, options.attempts) == (6, 0)
    assert options.parent_flags == {"fpof": False, "cpof": False, "idof": False, "rdof": True}


@pytest.mark.parametrize(
    ("before", "limit", "after"),
    [(b"[]", None, ["new"]), (b'["a","b"]', 2, ["b", "new"]), (b'["a"]', 0, []), (b"rubbish", None, ["new"])],
)
def test_stack_traces_add_up_to_their_limit(before: bytes, limit: int | None, after: list[str]) -> None:
    assert json.loads(add_trace(before, "new", limit)) == after


def test_a_handler_can_be_called_in_a_unit_test() -> None:
    kind = registry().get("people-count")
    assert asyncio.run(kind.handler(Person(name="A", age=2), None)) == Total(2)
