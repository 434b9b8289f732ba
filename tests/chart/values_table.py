"""The table of values in the chart's README, from values.yaml (defaults) and values.schema.json (words).

`python -m tests.chart.values_table` writes it; a test holds both equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.chart.rendering import CHART

README = CHART / "README.md"
BEGIN = "<!-- values: written by `python -m tests.chart.values_table` -->\n"
END = "<!-- end of values -->"

Schema = dict[str, Any]


def schema() -> Schema:
    loaded: Schema = json.loads((CHART / "values.schema.json").read_text())
    return loaded


def defaults() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return loaded


def leaves(node: Schema, path: str, default: Any) -> Iterator[tuple[str, str, Any]]:
    """Every value that can be set: its path, what it means, its default (None where there is none)."""
    known = default if isinstance(default, dict) else {}
    for name, child in node["properties"].items():
        inner = f"{path}.{name}" if path else name
        value = known.get(name)
        if "properties" in child:
            yield from leaves(child, inner, value)
            continue
        yield inner, child["description"], child.get("default") if value is None else value
        entry = child.get("additionalProperties")
        if isinstance(entry, dict) and "properties" in entry:
            yield from leaves(entry, f"{inner}.NAME", None)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def table() -> str:
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for path, meaning, default in leaves(schema(), "", defaults()):
        if path == "global":
            continue
        shown = "" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{path}` | {cell(shown)} | {cell(meaning)} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
