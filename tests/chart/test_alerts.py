"""The alerts: each fires when it should and not when it should not. Needs promtool; the values also helm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.guides import INSTALL
from tests.chart.promtool import assert_fire, promtool
from tests.chart.rendering import CHART, HelmError, render
from tests.chart.values_table import schema

FILE = CHART / "files" / "alerts.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}

Series = dict[str, str]
Labels = dict[str, str]


def queuejob(pod: str = "operator-1", **given: str) -> Series:
    """What the operator tells of the QueueJob shop/mail; what is not given is 0, for an hour and more."""
    values = {
        "bullherd_queue_backlog": "backlog",
        'bullherd_queue_items{state="waiting"}': "waiting",
        'bullherd_queue_items{state="active"}': "active",
        "bullherd_queue_oldest_item_age_seconds": "age",
        "bullherd_desired_replicas": "desired",
        "bullherd_ready_replicas": "ready",
        "bullherd_replicas_denied": "denied",
        "bullherd_unschedulable_pods": "unschedulable",
        "bullherd_queuejob_paused": "paused",
    }
    assert given.keys() <= set(values.values())
    common = f'namespace="shop",queuejob="mail",pod="{pod}"'
    series = {}
    for metric, word in values.items():
        name, _, labels = metric.partition("{")
        series[f"{name}{{{common},{labels or '}'}".replace(",}", "}")] = given.get(word, "0x150")
    return series


LEADS = {'bullherd_leader{namespace="bullherd",pod="operator-1"}': "1x150"}
REDIS = {'bullherd_redis_up{server="redis:6379/0",pod="operator-1"}': "1x150"}


def about_mail(alert: str, severity: str = "warning") -> Labels:
    return {"alertname": alert, "severity": severity, "namespace": "shop", "queuejob": "mail"}


NOT_DRAINING = about_mail("BullherdQueueNotDraining")
TOO_OLD = about_mail("BullherdOldestItemTooOld")
STALLED = about_mail("BullherdConsumingStalled", "critical")
NOT_READY = about_mail("BullherdWorkersNotReady")
UNSCHEDULABLE = about_mail("BullherdPodsUnschedulable")
DENIED = about_mail("BullherdReplicasDenied")
UNREACHABLE = {"alertname": "BullherdRedisUnreachable", "severity": "critical", "server": "redis:6379/0"}
NO_LEADER = {"alertname": "BullherdOperatorWithoutLeader", "severity": "critical"}
STALE = {
    "alertname": "BullherdExternalMetricsStale",
    "severity": "warning",
    "namespace": "bullherd",
    "pod": "server-1",
}
FAILING = {
    "alertname": "BullherdExternalMetricsFailing",
    "severity": "warning",
    "metric": "bullherd_queue_backlog",
}
NOT_RENEWED = {
    "alertname": "BullherdCertificateNotRenewed",
    "severity": "warning",
    "namespace": "bullherd",
    "certificate": "served",
}

UP_AND_DOWN = " ".join(["12 14 13 15 11"] * 30)
BUSY = {"waiting": "7x150", "active": "5x150", "desired": "1x150", "ready": "1x150"}
IDLE = {"backlog": "7x150", "waiting": "7x150", "desired": "2x150", "ready": "2x150"}

DAY = 86_400


def server(**given: str) -> Series:
    """What two replicas of the server tell; what is not given is as it should be."""
    expiry = "bullherd_server_certificate_expiry_timestamp_seconds"
    series = {}
    for pod in ("server-1", "server-2"):
        at = f'namespace="bullherd",pod="{pod}"'
        answers = f'bullherd_server_requests_total{{{at},metric="bullherd_queue_backlog"'
        series |= {
            f"bullherd_server_oldest_reading_age_seconds{{{at}}}": "1x150",
            f'{answers},code="200"}}': "0+2x150",
            f'{answers},code="503"}}': "0x150",
            f'{expiry}{{{at},certificate="served"}}': f"{90 * DAY}x150",
        }
    for name in list(series):
        for word, values in given.items():
            if 'pod="server-1"' in name and word in name:
                series[name] = values
    return series


CASES: dict[str, tuple[Series, str, list[Labels]]] = {
    "nothing to do": (queuejob(), "70m", []),
    "the backlog only grows": (queuejob(**BUSY, backlog="12+1x150"), "21m", [NOT_DRAINING]),
    "the backlog stays as it is": (queuejob(**BUSY, backlog="12x150"), "21m", [NOT_DRAINING]),
    "not for long yet": (queuejob(**BUSY, backlog="12+1x150"), "14m", []),
    "the backlog goes down, slowly": (queuejob(**BUSY, backlog="500-1x150"), "70m", []),
    "filled as fast as it is worked": (queuejob(**BUSY, backlog=UP_AND_DOWN), "70m", []),
    "long items, and nothing waits": (
        queuejob(backlog="5x150", active="5x150", desired="1x150", ready="1x150"),
        "70m",
        [],
    ),
    "the backlog grows while it is paused": (
        queuejob(**BUSY, backlog="12+1x150", paused="1x150"),
        "70m",
        [],
    ),
    "it grew, and the leadership moved": (
        {
            **queuejob(**BUSY, backlog="12+1x150"),
            **queuejob("operator-2", **BUSY, backlog="_x40 52+1x100"),
        },
        "40m",
        [NOT_DRAINING],
    ),
    "an item waits for 36 minutes": (queuejob(age="0+30x150"), "36m", [TOO_OLD]),
    "an item waits for 34 minutes": (queuejob(age="0+30x150"), "34m", []),
    "an item waits long in a paused queue": (queuejob(age="0+30x150", paused="1x150"), "60m", []),
    "nobody takes anything for 6 minutes": (queuejob(**IDLE), "6m", [STALLED]),
    "nobody takes anything for 4 minutes": (queuejob(**IDLE), "4m", []),
    "nobody takes anything for 30 minutes": (queuejob(**IDLE), "30m", [STALLED, NOT_DRAINING]),
    "nobody takes anything, and new items come": (
        queuejob(**{**IDLE, "backlog": "7+3x150"}),
        "10m",
        [STALLED],
    ),
    "nobody is to take anything: it is paused": (queuejob(**IDLE, paused="1x150"), "30m", []),
    "without workers, as by hand": (queuejob(backlog="7x150", waiting="7x150"), "70m", []),
    "items so short that none is seen at work": (queuejob(**{**IDLE, "backlog": UP_AND_DOWN}), "30m", []),
    "it stalled, and was taken up again": (
        queuejob(backlog="7x20 5 3 1 0x100", waiting="7x20 5 3 1 0x100", desired="2x150", ready="2x150"),
        "12m",
        [],
    ),
    "two of three workers never become ready": (
        queuejob(desired="3x150", ready="1x150"),
        "16m",
        [NOT_READY],
    ),
    "workers come after five minutes": (queuejob(desired="3x150", ready="0x10 3x140"), "20m", []),
    "workers find no node": (
        queuejob(desired="3x150", ready="1x150", unschedulable="2x150"),
        "30m",
        [UNSCHEDULABLE],
    ),
    "workers have found no node for nine minutes": (queuejob(unschedulable="2x150"), "9m", []),
    "workers find a node after five minutes": (
        queuejob(desired="3x150", ready="1x10 3x140", unschedulable="2x10 0x140"),
        "30m",
        [],
    ),
    "a budget denies replicas for 31 minutes": (queuejob(denied="4x150"), "31m", [DENIED]),
    "a budget denies replicas for 29 minutes": (queuejob(denied="4x150"), "29m", []),
    "a Redis is away for three minutes": (
        {**REDIS, 'bullherd_redis_up{server="redis:6379/0",pod="operator-1"}': "1x10 0x140"},
        "8m30s",
        [UNREACHABLE],
    ),
    "one of two pods cannot reach it": (
        {**REDIS, 'bullherd_redis_up{server="redis:6379/0",pod="server-1"}': "0x150"},
        "5m",
        [UNREACHABLE],
    ),
    "a Redis is away for one minute": (
        {'bullherd_redis_up{server="redis:6379/0",pod="operator-1"}': "1x10 0 0 1x130"},
        "5m45s",
        [],
    ),
    "no operator leads": (
        {
            'bullherd_leader{namespace="bullherd",pod="operator-1"}': "1x10 0x140",
            'bullherd_leader{namespace="bullherd",pod="operator-2"}': "0x150",
        },
        "8m",
        [{**NO_LEADER, "namespace": "bullherd"}],
    ),
    "the leadership moves": (
        {
            'bullherd_leader{namespace="bullherd",pod="operator-1"}': "1x10 stale",
            'bullherd_leader{namespace="bullherd",pod="operator-2"}': "0x12 1x138",
        },
        "6m",
        [],
    ),
    "the server is well": (server(), "70m", []),
    "a server's numbers get old": (server(oldest_reading="1+30x150"), "4m", [STALE]),
    "a server's numbers are old for a moment": (server(oldest_reading="1x10 61 70 1x140"), "5m45s", []),
    "a server answers with errors": (server(**{'code="503"': "0+1x150"}), "7m", [FAILING]),
    "a server answered with an error once": (server(**{'code="503"': "0 1x150"}), "7m", []),
    "a certificate ends in 13 days": (server(expiry=f"{13 * DAY}x150"), "65m", [NOT_RENEWED]),
    "a certificate ends in 29 days": (server(expiry=f"{29 * DAY}x150"), "65m", []),
    "no operator is there at all": ({"up": "1x150"}, "3m", [NO_LEADER]),
}


def test_the_file_is_what_prometheus_takes() -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool("check", "rules", FILE)


@pytest.mark.parametrize("sentence", CASES)
def test_what_fires(sentence: str, tmp_path: Path) -> None:
    """All that fires, so a case is about every other alert, too."""
    series, at, expected = CASES[sentence]
    about_leaders = any(name.startswith(("bullherd_leader", "up")) for name in series)
    assert_fire(FILE, tmp_path, series if about_leaders else {**LEADS, **series}, at, expected)


def test_every_alert_fires_in_some_case() -> None:
    fired = {labels["alertname"] for _, _, expected in CASES.values() for labels in expected}
    assert fired == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description"}
    assert alert["annotations"]["description"].endswith("."), "a description is sentences"
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values())))
    known = {
        key
        for _, _, expected in CASES.values()
        for one in expected
        if one["alertname"] == name
        for key in one
    }
    assert told <= known, "a label that the expression does not keep is empty in the text"


def rendered(alerts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    values = {"metrics": {"prometheusRule": {"enabled": True, "labels": {"release": "p"}, "alerts": alerts}}}
    rule = render(values).get("PrometheusRule", "bullherd")
    assert rule["metadata"]["labels"]["release"] == "p"
    return {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}


def test_the_chart_makes_a_rule_of_the_file_if_asked_to() -> None:
    assert rendered({}) == ALERTS
    assert render().of_kind("PrometheusRule") == []


def test_values_change_an_alert_and_no_other(tmp_path: Path) -> None:
    change = {"threshold": 600, "for": "1m", "severity": "page"}
    found = rendered({"BullherdOldestItemTooOld": change, "BullherdReplicasDenied": {"enabled": False}})
    changed = found.pop("BullherdOldestItemTooOld")
    others = ALERTS.keys() - {"BullherdOldestItemTooOld", "BullherdReplicasDenied"}
    assert found == {name: ALERTS[name] for name in others}
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "bullherd", "rules": [changed]}]}))
    expected = {**TOO_OLD, "severity": "page"}
    for at, firing in (("10m", []), ("12m", [expected])):
        assert_fire(file, tmp_path, queuejob(age="0+30x150"), at, firing)


@pytest.mark.parametrize("name", ALERTS)
def test_only_a_number_at_the_end_is_a_threshold(name: str) -> None:
    change = {name: {"threshold": 2_000_000}}
    if found := re.search(r"([<>]) \d+\s*$", ALERTS[name]["expr"]):
        assert rendered(change)[name]["expr"].endswith(f"{found[1]} 2000000")
    else:
        with pytest.raises(
            HelmError, match=f"alerts.{name} has a threshold, but there is none in that alert"
        ):
            rendered(change)


def test_the_guide_lists_them() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\w+) \| ?(\d*) ?\|$", INSTALL.read_text(), re.MULTILINE)
    assert rows == [
        (name, alert["for"], found[1] if (found := re.search(r"[<>] (\d+)\s*$", alert["expr"])) else "")
        for name, alert in ALERTS.items()
    ]


def test_the_schema_knows_the_names_of_all_alerts() -> None:
    rules = schema()["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]
    assert rules["alerts"]["propertyNames"]["enum"] == list(ALERTS)
