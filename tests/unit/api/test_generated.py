"""What is made from the models: crds/, docs/reference/ and the examples in it. Needs nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bullherd.api import InvalidQueueJob, QueueJob, crds, reference
from bullherd.api.base import ApiModel
from bullherd.api.schema import structural_schema

ROOT = Path(__file__).parents[3]
Schema = dict[str, Any]

FORBIDDEN = {"$ref", "$defs", "title", "anyOf", "oneOf", "allOf", "not", "const", "nullable", "definitions"}


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from nodes(schema[keyword], f"{path}[]")


SCHEMA = crds.resource_schema(explained=True)
NODES = dict(nodes(SCHEMA))


def test_the_files_in_crds_are_what_the_models_say() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "crds").iterdir()}
    assert written == crds.render(), "run `bullherd crds crds` and commit what changed"


def test_the_reference_page_is_what_the_models_say() -> None:
    written = (ROOT / "docs/reference/queuejob.md").read_text()
    assert written == reference.render(), "run `bullherd reference docs/reference` and commit what changed"


def test_the_crd_reads_back_as_it_was_meant() -> None:
    (text,) = crds.render().values()
    assert yaml.safe_load(text) == crds.definition()


def test_rendering_changes_nothing_for_the_next_time() -> None:
    before = copy.deepcopy(crds.definition())
    assert (crds.render(), reference.render()) == (crds.render(), reference.render())
    assert crds.definition() == before


@pytest.mark.parametrize("path", NODES)
def test_every_field_is_described(path: str) -> None:
    if path == ".metadata" or path.endswith(("labels[]", "annotations[]")):
        return
    description = NODES[path].get("description", "")
    assert re.fullmatch(r"[A-Z`a-z].*\.(?:dev/\w+)?|QueueJob", description), description
    assert "\n" not in description
    assert "  " not in description


@pytest.mark.parametrize("path", NODES)
def test_the_schema_is_structural(path: str) -> None:
    node = NODES[path]
    assert isinstance(node.get("type"), str)
    assert not FORBIDDEN & node.keys()
    assert ("properties" in node) <= (node["type"] == "object")
    assert set(node.get("required", ())) <= node.get("properties", {}).keys()


@pytest.mark.parametrize("path", [path for path in NODES if path.startswith(".status")])
def test_nothing_is_filled_in_in_a_status(path: str) -> None:
    assert "default" not in NODES[path]


def test_every_text_that_a_rule_reads_is_bounded() -> None:
    unbounded = [
        path
        for path, node in NODES.items()
        if node["type"] == "string" and "x-kubernetes-validations" in node and "maxLength" not in node
    ]
    assert unbounded == []


def test_defaults_of_the_crd_are_those_of_the_models() -> None:
    least = {"queue": {"name": "q"}, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}
    filled = filled_in(SCHEMA["properties"]["spec"], copy.deepcopy(least))
    parsed = QueueJob.parse({"metadata": {"name": "q"}, "spec": least})
    refilled = QueueJob.parse({"metadata": {"name": "q"}, "spec": filled})
    assert parsed == refilled
    assert filled["redis"] == {"connection": "default"}
    assert filled["scaling"] == {
        "minReplicas": 0,
        "maxReplicas": 10,
        "engine": "HPA",
        "activationBacklog": 0,
        "cooldownSeconds": 60,
    }


def filled_in(schema: Schema, value: Any) -> Any:
    """As the API server fills in defaults."""
    for name, child in schema.get("properties", {}).items():
        if name not in value and "default" in child:
            value[name] = copy.deepcopy(child["default"])
        if isinstance(value.get(name), dict):
            filled_in(child, value[name])
    return value


def test_what_is_not_structural_is_not_written() -> None:
    class Either(ApiModel):
        """Either."""

        either: int | str

    with pytest.raises(ValueError, match="a structural schema has no anyOf"):
        structural_schema(Either)


@pytest.mark.parametrize("name", reference.EXAMPLES)
def test_examples_are_good(name: str) -> None:
    body = yaml.safe_load(reference.example(name))
    job = QueueJob.parse(body)
    assert body["apiVersion"] == "bullherd.dev/v1alpha1"
    assert job.spec.template.spec == body["spec"]["template"]["spec"]
    assert unknown_fields(SCHEMA["properties"]["spec"], body["spec"]) == []


def test_the_page_shows_every_example_and_its_links_lead_somewhere() -> None:
    page = reference.render()
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert shown == [yaml.safe_load(reference.example(name)) for name in reference.EXAMPLES]
    headings = {
        re.sub(r"[^a-z0-9_ -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", page, re.M)
    }
    links = set(re.findall(r"\]\(#(.*?)\)", page))
    assert links
    assert links <= headings


def unknown_fields(schema: Schema, value: Any, path: str = "") -> list[str]:
    """Fields that the API server would drop."""
    if isinstance(value, list):
        return [
            field for item in value for field in unknown_fields(schema.get("items", {}), item, f"{path}[]")
        ]
    if not isinstance(value, dict) or "additionalProperties" in schema:
        return []
    known = schema.get("properties", {})
    dropped = (
        []
        if schema.get("x-kubernetes-preserve-unknown-fields")
        else [f"{path}.{name}" for name in value.keys() - known]
    )
    return dropped + [
        f for name in value.keys() & known for f in unknown_fields(known[name], value[name], f"{path}.{name}")
    ]


BOUNDED = [
    (path, node["minimum"], node["maximum"])
    for path, node in NODES.items()
    if path.startswith(".spec") and "minimum" in node and "maximum" in node
]


@pytest.mark.parametrize(("path", "lowest", "highest"), BOUNDED)
@settings(max_examples=30)
@given(data=st.data())
def test_the_parser_keeps_the_bounds_that_the_crd_says(
    path: str, lowest: int, highest: int, data: st.DataObject
) -> None:
    number = data.draw(
        st.integers(lowest - 3, highest + 3) | st.sampled_from([lowest, highest, lowest - 1, highest + 1])
    )
    spec: Any = {"queue": {"name": "q"}, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}
    *parents, field = path.removeprefix(".spec.").split(".")
    place = spec
    for parent in parents:
        if parent == "floors[]":
            floor: Any = {"schedule": "@daily", "duration": "1h"}
            place["floors"] = [floor]
            place = floor
        else:
            place = place.setdefault(parent, {"host": "redis"} if parent == "redis" else {})
    place[field] = number
    if field == "minReplicas":
        spec.setdefault("scaling", {})["maxReplicas"] = highest
    assert is_accepted(spec) == (lowest <= number <= highest)


def is_accepted(spec: Any) -> bool:
    try:
        QueueJob.parse({"metadata": {"name": "q"}, "spec": spec})
    except InvalidQueueJob:
        return False
    return True
