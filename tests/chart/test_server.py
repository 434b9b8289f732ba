"""The server's manifests, and the one APIService of a cluster. Needs helm, no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.settings import ServerSettings
from tests.chart.rendering import HelmError, Rendered, notes, render
from tests.fixtures.external_metrics import API_SERVICE


@pytest.fixture(scope="module")
def default() -> Rendered:
    return render()


def test_the_api_server_reaches_it_through_its_service(default: Rendered) -> None:
    service = default.get("Service", "bullherd-server")
    assert {"name": "https", "port": 443, "targetPort": "https"} in service["spec"]["ports"]
    assert {"name": "https", "containerPort": 6443} in default.container("server")["ports"]
    template = default.get("Deployment", "bullherd-server")["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert default.get("APIService", API_SERVICE)["spec"] == {
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": False,
        "service": {"namespace": "bullherd", "name": "bullherd-server", "port": 443},
    }


def test_the_chart_says_nothing_of_what_is_in_the_certificates_secret(default: Rendered) -> None:
    secret = default.get("Secret", "bullherd-server-tls")
    assert set(secret) == {"apiVersion", "kind", "metadata"}


@pytest.mark.parametrize(("choice", "made"), [("auto", True), (True, True), (False, False)])
def test_without_a_cluster_the_api_service_is_made_unless_told_not_to(choice: str | bool, made: bool) -> None:
    rendered = render({"server": {"externalMetrics": {"apiService": choice}}})
    assert bool(rendered.of_kind("APIService")) is made
    assert rendered.get("Deployment", "bullherd-server")
    assert rendered.environment("operator")["BULLHERD_METRICS_SERVICE"] == "bullherd-server"


def test_switched_off_nothing_of_it_is_left() -> None:
    rendered = render({"server": {"enabled": False, "externalMetrics": {"apiService": True}}})
    left = [d for d in rendered.documents if "server" in d["metadata"]["name"] or d["kind"] == "APIService"]
    assert left == []
    assert rendered.environment("operator")["BULLHERD_METRICS_SERVICE"] == ""


def test_it_may_do_what_it_needs_and_no_more(default: Rendered) -> None:
    assert default.granted("ClusterRole", "bullherd-bullherd-server") == {
        ("bullherd.dev", "queuejobs"): {"list", "watch"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
    }
    assert default.granted("ClusterRole", "bullherd-bullherd-server-reviews") == {
        ("authentication.k8s.io", "tokenreviews"): {"create"},
        ("authorization.k8s.io", "subjectaccessreviews"): {"create"},
        ("apiregistration.k8s.io", f"apiservices/{API_SERVICE}"): {"get", "patch"},
    }
    assert default.granted("Role", "bullherd-server-tls", "bullherd") == {
        ("", "secrets/bullherd-server-tls"): {"get", "patch"}
    }
    binding = default.get("RoleBinding", "bullherd-bullherd-server", "kube-system")
    assert binding["roleRef"]["name"] == "extension-apiserver-authentication-reader"
    bindings = default.of_kind("RoleBinding") + default.of_kind("ClusterRoleBinding")
    account = {"kind": "ServiceAccount", "name": "bullherd-server", "namespace": "bullherd"}
    assert len([one for one in bindings if one["subjects"] == [account]]) == 4


def test_with_watched_namespaces_it_looks_at_the_same() -> None:
    rendered = render({"watchNamespaces": ["shop", "blog"]})
    for namespace in ("shop", "blog"):
        assert rendered.granted("Role", "bullherd-server", namespace) == {
            ("bullherd.dev", "queuejobs"): {"list", "watch"}
        }
    assert rendered.environment("server")["BULLHERD_WATCH_NAMESPACES"] == "shop,blog"


def test_it_reads_the_same_connections_as_the_operator() -> None:
    sessions = {"host": "redis.example.com", "existingSecret": {"name": "sessions"}}
    specs = dict(render({"connections": {"sessions": sessions}}).pod_specs())
    operator, server = (specs[f"Deployment/bullherd-{component}"] for component in ("operator", "server"))
    assert server["volumes"] == operator["volumes"]
    assert server["containers"][0]["volumeMounts"] == operator["containers"][0]["volumeMounts"]


def test_replicas_spread_softly_and_drained_one_at_a_time(default: Rendered) -> None:
    deployment = default.get("Deployment", "bullherd-server")
    assert deployment["spec"]["replicas"] == 2
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for constraint in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        assert constraint["labelSelector"]["matchLabels"].items() <= labels
    budget = default.get("PodDisruptionBudget", "bullherd-server")
    assert budget["spec"]["maxUnavailable"] == 1
    selected = budget["spec"]["selector"]["matchLabels"]
    assert selected.items() <= labels
    operators = default.get("Deployment", "bullherd-operator")["spec"]["template"]["metadata"]["labels"]
    assert not selected.items() <= operators.items()


def test_probes_ask_it_without_tls(default: Rendered) -> None:
    container = default.container("server")
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_it_understands_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"env": {"BULLHERD_TICK_SECONDS": 2}, "staleAfterSeconds": 30}
    variables = render({"watchNamespaces": ["shop"], "server": given}).environment("server")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        assert name.removeprefix("BULLHERD_").lower() in ServerSettings.model_fields, name
    settings = ServerSettings()
    assert settings.watch_namespaces == ("shop",)
    assert settings.tick_seconds == 2
    assert settings.https_port == 6443
    assert settings.service_name == "bullherd-server"
    assert settings.certificate_secret == "bullherd-server-tls"
    assert settings.stale_after_seconds == 30


@pytest.mark.parametrize("component", ["operator", "server"])
def test_what_the_chart_depends_on_cannot_be_set(component: str) -> None:
    with pytest.raises(HelmError, match="invalid propertyName 'BULLHERD_HTTP_PORT'"):
        render({component: {"env": {"BULLHERD_HTTP_PORT": 9090}}})


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ({}, f"APIService {API_SERVICE} leads to bullherd/bullherd-server."),
        ({"enabled": False}, "none, because server.enabled=false"),
        ({"externalMetrics": {"apiService": False}}, "unless one of yours leads to"),
    ],
)
def test_notes_say_where_external_metrics_come_from(server: dict[str, Any], sentence: str) -> None:
    assert sentence in notes({"server": server})
