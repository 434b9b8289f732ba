"""What is wrong with a QueueJob, in sentences for the person who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

LONGEST_SHOWN_VALUE = 80


class InvalidQueueJob(ValueError):  # noqa: N818 - it names the state of the resource, as the condition's reason does
    """A QueueJob that the operator cannot use. ``problems`` has one sentence for each thing that is wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    @classmethod
    def from_validation(cls, error: ValidationError) -> InvalidQueueJob:
        """Say each error of the model with the path of its field."""
        return cls(tuple(_sentence(detail) for detail in error.errors(include_url=False)))


def _sentence(detail: ErrorDetails) -> str:
    path = _path(detail["loc"])
    match detail["type"]:
        case "missing":
            return f"{path} is missing"
        case "rule":
            return f"{path}: {detail['msg']}"
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            return f"{path} {_length_that_it_should_have(detail)}"
        case _:
            return f"{path} {_what_it_should_be(detail)}, but is {_what_it_is(detail['input'])}"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "the resource"


def _length_that_it_should_have(detail: ErrorDetails) -> str:
    limits = detail["ctx"]
    bound = (
        f"at least {limits['min_length']}" if "min_length" in limits else f"at most {limits['max_length']}"
    )
    number = limits.get("min_length", limits.get("max_length"))
    unit = "character" if detail["type"].startswith("string") else "item"
    return f"should have {bound} {unit}{'' if number == 1 else 's'}, but has {len(detail['input'])}"


def _what_it_should_be(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "model_type" | "model_attributes_type" | "dict_type":
            return "should be an object"
        case "list_type" | "tuple_type":
            return "should be a list"
        case _:
            return detail["msg"].partition(" ")[2]


def _what_it_is(value: Any) -> str:
    """A short plain value; never a part of a pod template, which may hold what is private."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN_VALUE else f"{shown[:LONGEST_SHOWN_VALUE]}…"
