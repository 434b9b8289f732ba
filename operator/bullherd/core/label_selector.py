"""Kubernetes' label selectors, in the grammar and with the limits of its own parser.

What the API server refuses is refused here, so that nobody gets values for a selector that means something
else elsewhere. ``>`` and ``<`` are refused, too: they compare numbers, and no label of ours is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"

_KEY = re.compile(rf"(?:(?P<prefix>{_DNS_LABEL}(?:\.{_DNS_LABEL})*)/)?(?P<name>{_NAME})")
_VALUE = re.compile(rf"(?:{_NAME})?")
_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)")

_LONGEST_PREFIX = 253
_LONGEST_NAME = 63

_END = "the end"


class MalformedSelector(ValueError):  # noqa: N818 - it is the selector that is malformed
    """A selector that cannot be read; ``str()`` is a sentence."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A label must have one of these values, or any where ``values`` is None; negated: must not.

    A label that is not there has no value, so it meets every negated requirement.
    """

    key: str
    values: frozenset[str] | None
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it."""
        value = labels.get(self.key)
        has = value is not None and (self.values is None or value in self.values)
        return has != self.negated


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must be met; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it; raises ``MalformedSelector``."""
        return cls(_Parser(text).selector())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet all requirements."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def values_for(self, key: str) -> frozenset[str] | None:
        """The only values that a label may have; None when no requirement says which."""
        wanted = [one.values for one in self.requirements if one.key == key and not one.negated]
        sets = [values for values in wanted if values is not None]
        return frozenset.intersection(*sets) if sets else None


class _Parser:
    """Reads tokens from left to right. ``in`` and ``notin`` are operators only where one is expected."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def selector(self) -> tuple[Requirement, ...]:
        requirements = []
        if self._next is not None:
            requirements.append(self._requirement())
            while self._next is not None:
                self._expect(",")
                requirements.append(self._requirement())
        return tuple(requirements)

    def _requirement(self) -> Requirement:
        negated = self._accept("!")
        key = self._key()
        if negated or self._next in (None, ","):
            return Requirement(key, None, negated)
        operator = self._take()
        if operator in ("=", "==", "!="):
            return Requirement(key, frozenset([self._value(key)]), operator == "!=")
        if operator in ("in", "notin"):
            return Requirement(key, self._values(key), operator == "notin")
        raise _malformed(f"found {operator!r} after {key!r}, expected one of =, ==, !=, in, notin")

    def _key(self) -> str:
        key = self._word()
        parts = _KEY.fullmatch(key)
        if (
            parts is None
            or len(parts["prefix"] or "") > _LONGEST_PREFIX
            or len(parts["name"]) > _LONGEST_NAME
        ):
            raise _malformed(f"{key!r} is no name of a label")
        return key

    def _values(self, key: str) -> frozenset[str]:
        self._expect("(")
        values = [self._value(key)]
        while self._accept(","):
            values.append(self._value(key))
        self._expect(")")
        return frozenset(values)

    def _value(self, key: str) -> str:
        """A value may be empty, and then nothing is written."""
        if self._next in (None, ",", ")"):
            return ""
        value = self._word()
        if _VALUE.fullmatch(value) is None or len(value) > _LONGEST_NAME:
            raise _malformed(f"{value!r} is no value that the label {key!r} could have")
        return value

    def _word(self) -> str:
        token = self._take()
        if token is None or token[0] in "=!(),<>":
            raise _malformed(f"found {token or _END!r}, expected a word")
        return token

    @property
    def _next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> str | None:
        token = self._next
        self._at += 1
        return token

    def _accept(self, wanted: str) -> bool:
        if self._next != wanted:
            return False
        self._at += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise _malformed(f"found {self._next or _END!r}, expected {wanted!r}")


def _malformed(why: str) -> MalformedSelector:
    return MalformedSelector(f"The label selector cannot be read: {why}.")
