"""What every model of the API has in common.

The models are the one source of three things: what the operator parses, the CRD that the API server checks
against, and the reference page. So that they cannot drift apart, a field's docstring is its description, its
type and bounds are its schema, and a :class:`~bullherd.api.rules.Rule` is at once the CEL expression that
the API server evaluates and the check that the parser makes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from bullherd.api.rules import Rule, write_rules


class ApiModel(BaseModel):
    """A part of a custom resource: immutable, camelCase outside, snake_case inside.

    Unknown fields are dropped, not refused: a resource may have been written for a newer version of the CRD,
    and the API server has already told its author about fields that it does not know.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()
    """What one field says about another."""

    @model_validator(mode="before")
    @classmethod
    def _absent_is_default(cls, data: Any) -> Any:
        """Read ``field: null`` as the API server does: as if the field were not there."""
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.RULES:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        reference = handler(core_schema)
        write_rules(handler.resolve_ref_schema(reference), cls.RULES)
        return reference

    def to_dict(self) -> dict[str, Any]:
        """The form that the API server takes: camelCase, JSON values only, nothing that is unknown."""
        return self.model_dump(mode="json", exclude_none=True)
