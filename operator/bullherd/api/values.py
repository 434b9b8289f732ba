"""Kinds of values that several fields share: names, numbers, points in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, WithJsonSchema

from bullherd.api.rules import Rule


def _without_fraction(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


_DATE_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}

Timestamp = Annotated[AwareDatetime, AfterValidator(_without_fraction), WithJsonSchema(_DATE_TIME)]
"""Kubernetes' usual time: whole seconds. Cut when the value is made, so that what is written equals what
is read back."""

PreciseTimestamp = Annotated[AwareDatetime, AfterValidator(_in_utc), WithJsonSchema(_DATE_TIME)]
"""A time that durations are measured from."""

Int32 = Annotated[int, Field(strict=True, json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Field(strict=True, json_schema_extra={"format": "int64"})]


def matching(pattern: str, message: str) -> Rule:
    """A rule about a text. A bare ``pattern`` in the schema would answer with the expression instead of a
    sentence."""
    compiled = re.compile(pattern, re.ASCII)
    quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return Rule(f"self.matches('^(?:{quoted})$')", message, lambda text: compiled.fullmatch(text) is not None)


ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matching(
        r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
        "a name has only lower case letters, digits, '-' and '.', and starts and ends with a letter or digit",
    ),
]
SecretKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matching(r"[-._a-zA-Z0-9]+", "a key of a Secret has only letters, digits, '-', '_' and '.'"),
]
