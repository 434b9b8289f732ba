"""What stands in two places says the same: CRDs, the README's values, versions. Needs helm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, ROOT, render
from tests.chart.values_table import README, defaults, schema, with_table


def test_the_charts_crds_are_the_projects() -> None:
    project = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    chart = {path.name: path.read_text() for path in (CHART / "files" / "crds").glob("*.yaml")}
    assert project, "crds/ is empty: run `bullherd crds`"
    assert chart == project, "copy them: cp crds/*.yaml charts/bullherd/files/crds/"


def test_rendered_crds_say_what_the_files_say_and_stay_when_the_release_goes() -> None:
    rendered = render().of_kind("CustomResourceDefinition")
    files = [yaml.safe_load(path.read_text()) for path in sorted((CHART / "files" / "crds").glob("*.yaml"))]
    assert [crd["spec"] for crd in rendered] == [crd["spec"] for crd in files]
    for crd in rendered:
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert render({"crds": {"install": False}}).of_kind("CustomResourceDefinition") == []


def test_the_readme_lists_every_value() -> None:
    readme = README.read_text()
    assert readme == with_table(readme), "run `python -m tests.chart.values_table`"


def objects(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}/{name}", child
        yield from objects(child, f"{path}/{name}")
    entry = node.get("additionalProperties")
    if isinstance(entry, dict):
        yield from objects(entry, f"{path}/NAME")


def test_every_value_is_described_and_none_can_be_misspelt() -> None:
    for path, node in objects(schema(), ""):
        assert node.get("description", "").endswith("."), f"{path} has no sentence"
        if "properties" in node:
            assert node["additionalProperties"] is False, f"{path} takes anything"


def test_every_default_is_in_the_schema_and_every_value_has_a_default() -> None:
    def walk(node: dict[str, Any], values: Any, path: str) -> None:
        if "properties" not in node:
            return
        assert set(values) | {"global"} == set(node["properties"]) | {"global"}, path or "/"
        for name, child in node["properties"].items():
            if name != "global":
                walk(child, values[name], f"{path}/{name}")

    walk(schema(), defaults(), "")


@pytest.mark.parametrize("chart_key", ["version", "appVersion"])
def test_the_chart_has_the_version_of_the_package(chart_key: str) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{chart[chart_key]}"' in (ROOT / "pyproject.toml").read_text()
