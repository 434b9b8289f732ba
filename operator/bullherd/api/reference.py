"""The reference page of QueueJob, made from the models like the CRD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from bullherd.api import resource
from bullherd.api.columns import COLUMNS
from bullherd.api.crds import resource_schema

EXAMPLES = ("first", "scaling", "inline-redis")

_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"

_INTRODUCTION = f"""\
<!-- Generated from the models in operator/bullherd/api. Do not edit: change the models. -->
<!-- markdownlint-disable MD013 -->

# QueueJob

{{description}}

`{resource.GROUP}/{resource.VERSION}`, namespaced, short `{resource.SHORT_NAME}`.
`kubectl get {resource.PLURAL}` lists them, with `-o wide` in more detail;
`kubectl explain {resource.SINGULAR}.spec` says what is here.

An *item* is one BullMQ job in a queue; *Job* is left to Kubernetes. {{rules}}.
"""

_CHECKS = """\
## What is checked, and when

When a QueueJob is applied, the API server checks types, bounds and the rules below, and refuses a bad one
with a sentence. What it cannot know shows later in the condition `Ready`, and heals by itself when it is
mended: a connection that does not exist or is not open for the namespace, a template that Kubernetes refuses,
a Secret that is missing, a queue that another QueueJob works already.
"""


def render() -> str:
    """The whole page, in Markdown."""
    schema = resource_schema(explained=False)
    parts = [
        _INTRODUCTION.format(description=schema["description"], rules=_as_sentence(_rules(schema))),
        "## Examples\n",
        *(_example(name) for name in EXAMPLES),
        _CHECKS,
        *_sections("spec", schema["properties"]["spec"]),
        *_sections("status", schema["properties"]["status"]),
        _columns(),
    ]
    return "\n".join(parts)


def example(name: str) -> str:
    """The YAML of an example, with the comment that says what it shows."""
    return resources.files("bullherd.api").joinpath("examples", f"{name}.yaml").read_text("utf-8")


def _example(name: str) -> str:
    lines = example(name).splitlines()
    comment = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    body = [line for line in lines if not line.startswith("#")]
    return "\n".join([*comment, "", "```yaml", *body, "```", ""])


def _sections(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """The section of an object, then those of the objects in it.

    What is inside a type of Kubernetes' own has no section: it is described there.
    """
    properties: dict[str, dict[str, Any]] = schema["properties"]
    yield "\n".join(
        [f"## {path}", "", schema["description"], "", *_table(path, schema), *_rule_list(schema), ""]
    )
    if _OPEN in schema:
        return
    for name, child in properties.items():
        if "properties" in child:
            yield from _sections(f"{path}.{name}", child)
        elif "properties" in child.get("items", {}):
            yield from _sections(f"{path}.{name}[]", child["items"])


def _table(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Only what a person writes has a column for defaults."""
    with_default = not path.startswith("status")
    yield "| Field | Type | Default | Meaning |" if with_default else "| Field | Type | Meaning |"
    yield "|---|---|---|---|" if with_default else "|---|---|---|"
    required = set(schema.get("required", ()))
    for name, child in schema["properties"].items():
        cells = [f"`{name}`", _type(f"{path}.{name}", child, linked=_OPEN not in schema)]
        if with_default:
            cells.append(_default(child, name in required))
        cells.append(_first_sentence(child["description"]) if "properties" in child else child["description"])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    if _OPEN in schema:
        yield "| … | | | Every other field of Kubernetes' own type, as it is. |"


def _rule_list(schema: dict[str, Any]) -> list[str]:
    rules = _rules(schema)
    for name, child in schema["properties"].items():
        if "properties" not in child:
            rules += [f"`{name}`: {rule}" for rule in _rules(child)]
    return ["", "Rules:", "", *(f"- {rule}." for rule in rules)] if rules else []


def _type(path: str, schema: dict[str, Any], *, linked: bool) -> str:
    if "properties" in schema:
        return f"[object](#{_anchor(path)})"
    if schema["type"] == "array":
        return f"list of [objects](#{_anchor(path)})" if linked else "list of objects"
    if "additionalProperties" in schema:
        return "map of strings"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['type']}, {schema['minimum']} to {schema['maximum']}"
    return str(schema["type"])


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."


def _default(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    if "default" not in schema:
        return ""
    default = schema["default"]
    if isinstance(default, dict) and len(default) > 1:
        return "its fields' defaults"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _rules(schema: dict[str, Any]) -> list[str]:
    return [rule["message"] for rule in schema.get(_RULES, ())]


def _as_sentence(rules: list[str]) -> str:
    text = "; ".join(rules)
    return text[:1].upper() + text[1:]


def _anchor(heading: str) -> str:
    """The fragment that Markdown's readers give to a heading."""
    return "".join(character for character in heading.lower() if character.isalnum() or character in "-_")


def _columns() -> str:
    lines = ["## What kubectl get shows", "", "| Column | Meaning |", "|---|---|"]
    for column in COLUMNS:
        lines.append(
            f"| {column.name.upper()}{' (with `-o wide`)' if column.wide else ''} | {column.description} |"
        )
    return "\n".join([*lines, ""])
