"""The operator's manifests: who it is, what it may do, how it runs. Needs helm, no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.settings import OperatorSettings
from tests.chart.rendering import CHART, HelmError, Rendered, render, run_helm

EVERYTHING = {
    "imagePullSecrets": [{"name": "pull"}],
    "inlineCredentials": {"namespaces": ["shop"]},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "connections": {"sessions": {"host": "redis.example.com", "existingSecret": {"name": "sessions"}}},
}


@pytest.fixture(scope="module")
def default() -> Rendered:
    return render()


def operator_container(rendered: Rendered) -> dict[str, Any]:
    deployment = rendered.get("Deployment", "bullherd-operator")
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def environment(rendered: Rendered) -> dict[str, str]:
    return {
        entry["name"]: entry.get("value", "from the pod") for entry in operator_container(rendered)["env"]
    }


def test_lint_finds_nothing() -> None:
    assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_pod_keeps_the_restricted_pod_security_standard(values: dict[str, Any]) -> None:
    specs = list(render(values).pod_specs())
    assert {name for name, _ in specs} == {
        "Deployment/bullherd-operator",
        "StatefulSet/bullherd-redis",
        "Pod/bullherd-test",
    }
    for name, spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 65532, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.get("hostNetwork"), name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
        allowed = {"secret", "configMap", "emptyDir", "persistentVolumeClaim"}
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= allowed, name


def test_only_the_operator_gets_a_token_for_the_api(default: Rendered) -> None:
    for name, spec in default.pod_specs():
        assert spec["automountServiceAccountToken"] is (name == "Deployment/bullherd-operator"), name


def rules(rendered: Rendered, kind: str) -> list[dict[str, Any]]:
    return [rule for role in rendered.of_kind(kind) for rule in role["rules"]]


def test_no_permission_on_secrets_by_default(default: Rendered) -> None:
    for rule in rules(default, "ClusterRole") + rules(default, "Role"):
        assert not {"secrets", "*"} & set(rule["resources"]), rule
        assert "*" not in rule["verbs"] + rule["apiGroups"], rule


def test_the_operator_may_do_what_it_needs_and_no_more(default: Rendered) -> None:
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in default.get("ClusterRole", "bullherd-bullherd-operator")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {
        ("bullherd.dev", "queuejobs"): {"list", "watch"},
        ("bullherd.dev", "queuejobs/status"): {"patch"},
        ("apps", "deployments"): {"get", "list", "watch", "create", "patch"},
        ("", "pods"): {"list"},
        ("", "events"): {"create"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
    }


def test_inline_credentials_open_secrets_of_those_namespaces_only() -> None:
    rendered = render({"inlineCredentials": {"namespaces": ["shop", "blog"]}})
    for namespace in ("shop", "blog"):
        role = rendered.get("Role", "bullherd-operator-inline-credentials", namespace)
        assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        binding = rendered.get("RoleBinding", "bullherd-operator-inline-credentials", namespace)
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "bullherd-operator", "namespace": "bullherd"}
        ]
    assert not any("secrets" in rule["resources"] for rule in rules(rendered, "ClusterRole"))


def test_watched_namespaces_get_roles_and_the_cluster_none() -> None:
    values = {"watchNamespaces": ["shop", "blog"], "rbac": {"aggregateToDefaultRoles": False}}
    rendered = render(values)
    assert rendered.of_kind("ClusterRole") == rendered.of_kind("ClusterRoleBinding") == []
    for namespace in ("shop", "blog"):
        assert rendered.get("Role", "bullherd-operator", namespace)["rules"]
        assert rendered.get("RoleBinding", "bullherd-operator", namespace)["roleRef"]["kind"] == "Role"
    assert environment(rendered)["BULLHERD_WATCH_NAMESPACES"] == "shop,blog"
    assert rendered.connection("default")["namespaces"] == ["shop", "blog"]


def test_rbac_can_be_left_to_an_administrator() -> None:
    rendered = render(
        {
            "rbac": {"create": False, "aggregateToDefaultRoles": False},
            "serviceAccount": {"create": False, "name": "given"},
        }
    )
    for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"):
        assert rendered.of_kind(kind) == [], kind
    assert (
        rendered.get("Deployment", "bullherd-operator")["spec"]["template"]["spec"]["serviceAccountName"]
        == "given"
    )


def test_everybodys_roles_learn_of_queuejobs(default: Rendered) -> None:
    view = default.get("ClusterRole", "bullherd-bullherd-view")
    edit = default.get("ClusterRole", "bullherd-bullherd-edit")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"


def test_the_operator_is_told_its_settings() -> None:
    rendered = render(
        {
            "logging": {"format": "console", "level": "debug"},
            "priorityClasses": {"create": False, "prefix": ""},
            "operator": {"env": {"BULLHERD_TICK_SECONDS": 2, "BULLHERD_LOG_LEVEL": "ERROR"}},
        }
    )
    assert environment(rendered) == {
        "BULLHERD_NAMESPACE": "from the pod",
        "BULLHERD_POD_NAME": "from the pod",
        "BULLHERD_LEASE_NAME": "bullherd-operator",
        "BULLHERD_WATCH_NAMESPACES": "",
        "BULLHERD_CONNECTIONS_DIR": "/etc/bullherd/connections",
        "BULLHERD_HTTP_PORT": "8080",
        "BULLHERD_LOG_FORMAT": "console",
        "BULLHERD_LOG_LEVEL": "ERROR",
        "BULLHERD_PRIORITY_CLASS_PREFIX": "",
        "BULLHERD_TICK_SECONDS": "2",
    }
    assert rendered.of_kind("PriorityClass") == []


def test_two_replicas_spread_softly_and_drained_one_at_a_time(default: Rendered) -> None:
    deployment = default.get("Deployment", "bullherd-operator")
    assert deployment["spec"]["replicas"] == 2
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {constraint["whenUnsatisfiable"] for constraint in spread} == {"ScheduleAnyway"}
    budget = default.get("PodDisruptionBudget", "bullherd-operator")
    assert budget["spec"]["maxUnavailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_probes_ask_the_operator(default: Rendered) -> None:
    container = operator_container(default)
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_operator_understands_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = environment(
        render({"watchNamespaces": ["shop", "blog"], "operator": {"env": {"BULLHERD_TICK_SECONDS": 2}}})
    )
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        assert name.removeprefix("BULLHERD_").lower() in OperatorSettings.model_fields, name
    settings = OperatorSettings()
    assert settings.watch_namespaces == ("shop", "blog")
    assert settings.tick_seconds == 2
    assert settings.priority_class_prefix == "bullherd-"


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ({}, "bullherd:0.1.0"),
        ({"repository": "localhost/bullherd", "tag": "abc"}, "localhost/bullherd:abc"),
        ({"tag": "abc", "digest": "sha256:" + "0" * 64}, "bullherd@sha256:" + "0" * 64),
    ],
    ids=["the chart's version", "a tag", "a digest wins"],
)
def test_image_reference(values: dict[str, str], reference: str) -> None:
    assert operator_container(render({"image": values}))["image"] == reference


def test_priority_classes_order_and_never_preempt(default: Rendered) -> None:
    classes = {
        c["metadata"]["name"]: (c["value"], c["preemptionPolicy"]) for c in default.of_kind("PriorityClass")
    }
    assert classes == {
        "bullherd-high": (10, "Never"),
        "bullherd-medium": (0, "Never"),
        "bullherd-low": (-10, "Never"),
    }


def test_a_service_monitor_finds_the_metrics_service() -> None:
    rendered = render(EVERYTHING)
    monitor = rendered.get("ServiceMonitor", "bullherd-operator")
    service = rendered.get("Service", "bullherd-operator")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    with pytest.raises(HelmError, match=r"needs metrics\.service\.enabled"):
        render({"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}})


def test_two_releases_do_not_share_a_name() -> None:
    def names(rendered: Rendered) -> set[tuple[str, str | None, str]]:
        return {
            (d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in rendered.documents
        }

    values = {"crds": {"install": False}, "priorityClasses": {"create": False}}
    first = render({**values, "redis": {"embedded": {"namespaces": ["one"]}}}, namespace="one")
    second = render({**values, "redis": {"embedded": {"namespaces": ["two"]}}}, namespace="two")
    assert names(first) & names(second) == set()
