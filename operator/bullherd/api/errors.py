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
    if detail["type"] == "missing":
        return f"{path} is missing"
    if detail["type"] == "rule":
        return f"{path}: {detail['msg']}"
    return f"{path} {_what_it_should_be(detail)}{_what_it_is(detail['input'])}"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "the resource"


def _what_it_should_be(detail: ErrorDetails) -> str:
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "should be an object"
    if detail["type"] in ("list_type", "tuple_type"):
        return "should be a list"
    words = detail["msg"]
    for subject in ("Input ", "String ", "List ", "Tuple ", "Value "):
        words = words.removeprefix(subject)
    return words


def _what_it_is(value: Any) -> str:
    """Show a short plain value; never a part of a pod template, which may hold what is private."""
    if isinstance(value, Mapping):
        return ", but is an object"
    if isinstance(value, list | tuple):
        return f", but is a list of {len(value)}"
    shown = repr(value)
    return (
        f", but is {shown}"
        if len(shown) <= LONGEST_SHOWN_VALUE
        else f", but is {shown[:LONGEST_SHOWN_VALUE]}…"
    )
