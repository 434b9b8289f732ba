"""The operator's manifests: who it is, what it may do, how it runs. Needs helm, no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.settings import OperatorSettings
from tests.chart.rendering import CHART, HelmError, Rendered, render, run_helm

EVERYTHING = {
    "imagePullSecrets": [{"name": "pull"}],
    "inlineCredentials": {"namespaces": ["shop"]},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True},
        "grafanaDashboard": {"enabled": True},
    },
    "connections": {"sessions": {"host": "redis.example.com", "existingSecret": {"name": "sessions"}}},
}


@pytest.fixture(scope="module")
def default() -> Rendered:
    return render()


def test_lint_finds_nothing() -> None:
    assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_pod_keeps_the_restricted_pod_security_standard(values: dict[str, Any]) -> None:
    specs = list(render(values).pod_specs())
    assert {name for name, _ in specs} == {
        "Deployment/bullherd-operator",
        "Deployment/bullherd-server",
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


def test_only_operator_and_server_get_a_token_for_the_api(default: Rendered) -> None:
    for name, spec in default.pod_specs():
        assert spec["automountServiceAccountToken"] is name.startswith("Deployment/bullherd-"), name


def rules(rendered: Rendered, kind: str) -> list[dict[str, Any]]:
    return [rule for role in rendered.of_kind(kind) for rule in role["rules"]]


def test_by_default_no_permission_on_secrets_but_on_the_servers_own(default: Rendered) -> None:
    for rule in rules(default, "ClusterRole") + rules(default, "Role"):
        if rule.get("resourceNames") != ["bullherd-server-tls"]:
            assert not {"secrets", "*"} & set(rule["resources"]), rule
        assert "*" not in rule["verbs"] + rule["apiGroups"], rule


def test_the_operator_may_do_what_it_needs_and_no_more(default: Rendered) -> None:
    assert default.granted("ClusterRole", "bullherd-bullherd-operator") == {
        ("bullherd.dev", "queuejobs"): {"list", "watch"},
        ("bullherd.dev", "queuejobs/status"): {"patch"},
        ("apps", "deployments"): {"get", "list", "watch", "create", "patch"},
        ("autoscaling", "horizontalpodautoscalers"): {
            *("get", "list", "watch"),
            *("create", "patch", "delete"),
        },
        ("", "pods"): {"list", "patch"},
        ("", "events"): {"create"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
    }
    assert default.granted("ClusterRole", "bullherd-bullherd-operator-apiservice") == {
        ("apiregistration.k8s.io", "apiservices/v1beta1.external.metrics.k8s.io"): {"get"}
    }


def test_inline_credentials_open_secrets_of_those_namespaces_only() -> None:
    rendered = render({"inlineCredentials": {"namespaces": ["shop", "blog"]}})
    for namespace in ("shop", "blog"):
        role = rendered.get("Role", "bullherd-inline-credentials", namespace)
        assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        binding = rendered.get("RoleBinding", "bullherd-inline-credentials", namespace)
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": f"bullherd-{component}", "namespace": "bullherd"}
            for component in ("operator", "server")
        ]
    assert not any("secrets" in rule["resources"] for rule in rules(rendered, "ClusterRole"))


def test_watched_namespaces_get_roles_and_without_the_server_the_cluster_none() -> None:
    values = {"watchNamespaces": ["shop", "blog"], "rbac": {"aggregateToDefaultRoles": False}}
    rendered = render({**values, "server": {"enabled": False}})
    assert rendered.of_kind("ClusterRole") == rendered.of_kind("ClusterRoleBinding") == []
    for namespace in ("shop", "blog"):
        assert rendered.get("Role", "bullherd-operator", namespace)["rules"]
        assert rendered.get("RoleBinding", "bullherd-operator", namespace)["roleRef"]["kind"] == "Role"
    assert rendered.environment("operator")["BULLHERD_WATCH_NAMESPACES"] == "shop,blog"
    assert rendered.connection("default")["namespaces"] == ["shop", "blog"]
    with_server = {role["metadata"]["name"] for role in render(values).of_kind("ClusterRole")}
    assert with_server == {"bullherd-bullherd-operator-apiservice", "bullherd-bullherd-server-reviews"}


def test_rbac_can_be_left_to_an_administrator() -> None:
    rendered = render(
        {
            "rbac": {"create": False, "aggregateToDefaultRoles": False},
            "serviceAccount": {"create": False, "name": "given"},
            "server": {"serviceAccount": {"create": False, "name": "given too"}},
        }
    )
    for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"):
        assert rendered.of_kind(kind) == [], kind
    accounts = {name: spec.get("serviceAccountName") for name, spec in rendered.pod_specs()}
    assert accounts["Deployment/bullherd-operator"] == "given"
    assert accounts["Deployment/bullherd-server"] == "given too"


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
    assert rendered.environment("operator") == {
        "BULLHERD_NAMESPACE": "from the pod",
        "BULLHERD_POD_NAME": "from the pod",
        "BULLHERD_LEASE_NAME": "bullherd-operator",
        "BULLHERD_WATCH_NAMESPACES": "",
        "BULLHERD_CONNECTIONS_DIR": "/etc/bullherd/connections",
        "BULLHERD_HTTP_PORT": "8080",
        "BULLHERD_LOG_FORMAT": "console",
        "BULLHERD_LOG_LEVEL": "ERROR",
        "BULLHERD_PRIORITY_CLASS_PREFIX": "",
        "BULLHERD_METRICS_SERVICE": "bullherd-server",
        "BULLHERD_MAX_TOTAL_REPLICAS": "0",
        "BULLHERD_NAMESPACE_BUDGETS": "{}",
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
    container = default.container("operator")
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_operator_understands_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "env": {"BULLHERD_TICK_SECONDS": 2},
        "maxTotalReplicas": 2_000_000,
        "namespaceBudgets": {"shop": 50, "*": 20},
    }
    variables = render({"watchNamespaces": ["shop", "blog"], "operator": given}).environment("operator")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        assert name.removeprefix("BULLHERD_").lower() in OperatorSettings.model_fields, name
    settings = OperatorSettings()
    assert settings.watch_namespaces == ("shop", "blog")
    assert settings.tick_seconds == 2
    assert settings.priority_class_prefix == "bullherd-"
    assert settings.metrics_service == "bullherd-server"
    assert settings.max_total_replicas == 2_000_000
    assert settings.namespace_budgets == {"shop": 50, "*": 20}


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
    assert render({"image": values}).container("operator")["image"] == reference


def test_priority_classes_order_and_never_preempt(default: Rendered) -> None:
    classes = {
        c["metadata"]["name"]: (c["value"], c["preemptionPolicy"]) for c in default.of_kind("PriorityClass")
    }
    assert classes == {
        "bullherd-high": (10, "Never"),
        "bullherd-medium": (0, "Never"),
        "bullherd-low": (-10, "Never"),
    }


def test_a_service_monitor_finds_both_services_and_no_other() -> None:
    rendered = render(EVERYTHING)
    monitor = rendered.get("ServiceMonitor", "bullherd")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True, "else the pod's namespace takes the place of the QueueJob's"
    selector = monitor["spec"]["selector"]
    (expression,) = selector["matchExpressions"]
    assert expression["operator"] == "In"
    selected = [
        service
        for service in rendered.of_kind("Service")
        if selector["matchLabels"].items() <= service["metadata"]["labels"].items()
        and service["metadata"]["labels"].get(expression["key"]) in expression["values"]
    ]
    assert {service["metadata"]["name"] for service in selected} == {"bullherd-operator", "bullherd-server"}
    for service in selected:
        assert {"name": "http", "port": 8080, "targetPort": "http"} in service["spec"]["ports"]
    with pytest.raises(HelmError, match=r"needs metrics\.service\.enabled"):
        render({"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}})


def test_two_releases_do_not_share_a_name() -> None:
    def names(rendered: Rendered) -> set[tuple[str, str | None, str]]:
        return {
            (d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in rendered.documents
        }

    values = {
        "crds": {"install": False},
        "priorityClasses": {"create": False},
        "server": {"externalMetrics": {"apiService": False}},
    }
    first = render({**values, "redis": {"embedded": {"namespaces": ["one"]}}}, namespace="one")
    second = render({**values, "redis": {"embedded": {"namespaces": ["two"]}}}, namespace="two")
    assert names(first) & names(second) == set()
