"""The dashboard: what it is made of, and whether Prometheus understands it. Needs promtool and helm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from bullherd.telemetry.metrics import OperatorMetrics
from bullherd.telemetry.server_metrics import ServerMetrics
from dev.dashboard import FILE, render
from tests.chart.promtool import promtool
from tests.chart.rendering import render as render_chart
from tests.chart.test_alerts import ALERTS

BOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every query of every panel, with what Grafana puts in for its variables."""
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]
    filled = {"$__rate_interval": "2m", "$namespace": ".*", "$queuejob": ".*"}
    for name, value in filled.items():
        queries = [query.replace(name, value) for query in queries]
    assert not [query for query in queries if "$" in query]
    return queries


def test_the_file_is_what_the_code_makes() -> None:
    assert FILE.read_text() == render(), "run `python -m dev.dashboard`"


def test_it_can_be_found_and_does_not_depend_on_one_grafana() -> None:
    assert (BOARD["uid"], BOARD["title"]) == ("bullherd", "Bullherd")
    assert BOARD["schemaVersion"] >= 41
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == [
        "datasource",
        "namespace",
        "queuejob",
    ]
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]


def test_panels_have_names_words_and_a_place_of_their_own() -> None:
    identities = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(identities)) == len(identities)
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)
    for panel in PANELS:
        assert panel["description"].endswith("."), f"{panel['title']} has no sentence"
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references)), panel["title"]
    for one, other in combinations(BOARD["panels"], 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return across and down


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """As recording rules, which promtool parses; which answers they give, test_prometheus.py asks."""
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


def known_metrics() -> Iterator[str]:
    families = [*OperatorMetrics().registry.collect(), *ServerMetrics().registry.collect()]
    for family in families:
        yield family.name
        if family.type == "counter":
            yield f"{family.name}_total"
        if family.type == "histogram":
            yield f"{family.name}_bucket"


@pytest.mark.parametrize("where", ["alerts", "dashboard"])
def test_every_metric_that_is_asked_for_exists(where: str) -> None:
    texts = expressions() if where == "dashboard" else [alert["expr"] for alert in ALERTS.values()]
    asked = set(re.findall(r"\bbullherd_[a-z_]+", " ".join(texts)))
    assert asked
    assert asked - set(known_metrics()) == set()


def test_the_chart_brings_it_to_grafanas_sidecar_if_asked_to() -> None:
    given = {"enabled": True, "annotations": {"grafana_folder": "Queues"}}
    rendered = render_chart({"metrics": {"grafanaDashboard": given}})
    config_map = rendered.get("ConfigMap", "bullherd-dashboard", "bullherd")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"grafana_folder": "Queues"}
    assert json.loads(config_map["data"]["bullherd.json"]) == BOARD
    names = {config_map["metadata"]["name"] for config_map in render_chart().of_kind("ConfigMap")}
    assert "bullherd-dashboard" not in names
