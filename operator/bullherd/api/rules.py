"""Rules that a type and its bounds cannot say, written once and checked twice.

The API server refuses a resource that breaks the CEL expression when somebody applies it; the parser checks
the same in Python, because a resource may be older than the rule. Tests run one table of cases through both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold; ``message`` tells the author of a bad resource what is right.

    Used in ``Annotated`` it is about one value, in ``ApiModel.RULES`` about an object. A rule about a change
    compares with ``oldSelf``; only the API server sees both, so it has no ``holds``.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = field(default=None, compare=False)

    def check(self, value: Any) -> Any:
        """Return the value, or say by an error why it cannot be used."""
        if self.holds is not None and not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        json_schema = handler(schema)
        write_rules(json_schema, [self])
        return json_schema


def write_rules(schema: dict[str, Any], rules: Iterable[Rule]) -> None:
    """Add the rules to a schema in the form that the API server evaluates."""
    written = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    if written:
        schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), *written]
