"""From pydantic's JSON Schema to the structural OpenAPI schema that a CRD must have.

Kubernetes wants one schema without references, in which every node says its type; pydantic makes references,
unions with null, and titles. What cannot be said structurally is refused here rather than written wrong.
"""

from __future__ import annotations

from typing import Any

from bullherd.api.base import ApiModel

_NOT_STRUCTURAL = {"allOf", "anyOf", "oneOf", "not", "prefixItems", "patternProperties"}

_FIRST = ("description", "type", "format", "enum", "default")
_LAST = ("required", "properties", "items")


def structural_schema(model: type[ApiModel]) -> dict[str, Any]:
    """The schema of the model, its references resolved."""
    raw = model.model_json_schema(by_alias=True)
    return _structural(raw, raw.get("$defs", {}))


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    node = _resolved(node, definitions)
    if left := _NOT_STRUCTURAL & node.keys():
        raise ValueError(f"a structural schema has no {', '.join(sorted(left))}: {node}")
    schema: dict[str, Any] = {}
    for keyword, value in node.items():
        match keyword:
            case "title" | "$defs":
                continue
            case "properties" if not value:
                # An object of which nothing is named; the API server drops the word.
                continue
            case "description":
                schema[keyword] = " ".join(value.split())
            case "properties":
                schema[keyword] = {name: _structural(child, definitions) for name, child in value.items()}
            case "items":
                schema[keyword] = _structural(value, definitions)
            case "additionalProperties":
                if value is True:
                    schema["x-kubernetes-preserve-unknown-fields"] = True
                else:
                    schema[keyword] = _structural(value, definitions)
            case _:
                schema[keyword] = value
    return _ordered(_without_empty_default(schema))


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and take ``X or null`` as X: null and absent are the same to the API server."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _resolved(target | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    if "anyOf" in node:
        alternatives = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        if len(alternatives) == 1:
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return _resolved(alternatives[0] | rest, definitions)
    if "const" in node:
        node = {key: value for key, value in node.items() if key != "const"} | {"enum": [node["const"]]}
    return node


def _without_empty_default(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop defaults that say nothing, and parts of defaults that do.

    An object's default is written out whole, with what its fields default to as well: the API server checks a
    default against the rules as it is written, before it fills anything in.
    """
    if "default" not in schema:
        return schema
    default = schema.pop("default")
    if isinstance(default, dict):
        default = {name: value for name, value in default.items() if value not in (None, {}, [])}
    return schema if default in (None, {}, []) else schema | {"default": default}


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reader looks for first comes first, and what is nested last, whatever pydantic's order is."""

    def place(keyword: str) -> tuple[int, str]:
        if keyword in _FIRST:
            return _FIRST.index(keyword), ""
        return len(_FIRST) + _LAST.index(keyword) + 1 if keyword in _LAST else len(_FIRST), keyword

    return dict(sorted(schema.items(), key=lambda item: place(item[0])))
