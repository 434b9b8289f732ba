"""The chart with its operator at work, in a restricted namespace. Needs the cluster and its images."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.chart.release import AUTO, Release
from tests.chart.rendering import HelmError
from tests.fixtures.external_metrics import API_SERVICE, ExternalMetricsApi, api_service

pytestmark = pytest.mark.e2e


def queue_job(image: dict[str, str], connection: str = "default") -> str:
    """A queue whose worker only sleeps, with the operator's image because that is there."""
    container = {
        "name": "worker",
        "image": f"{image['repository']}:{image['tag']}",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    body = {
        "apiVersion": "bullherd.dev/v1alpha1",
        "kind": "QueueJob",
        "metadata": {"name": "mail"},
        "spec": {
            "queue": {"name": "mail"},
            "redis": {"connection": connection},
            "concurrency": 1,
            "scaling": {"maxReplicas": 2},
            "template": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}},
        },
    }
    return yaml.safe_dump(body)


def apply(release: Release, manifest: str) -> None:
    release.cluster.kubectl("-n", release.namespace, "apply", "-f", "-", stdin=manifest)


def test_an_item_in_the_embedded_redis_becomes_a_worker(release: Release, whole: dict[str, Any]) -> None:
    release.install(whole)
    assert "Phase:          Succeeded" in release.helm_test()
    apply(release, queue_job(whole["image"]))
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    release.until("queuejob/mail", ready, "True")
    release.redis("LPUSH", "bull:mail:wait", "1")
    release.until("queuejob/mail", "{.status.backlog}", "1")
    deployment = release.cluster.get(
        "deployments", "-n", release.namespace, "-l", "app.kubernetes.io/managed-by=bullherd"
    )
    (worker,) = deployment["items"]
    assert worker["spec"]["template"]["spec"]["priorityClassName"] == f"{release.namespace}-medium"
    release.until(f"deployment/{worker['metadata']['name']}", "{.status.readyReplicas}", "1")
    logs = ("logs", "-l", "app.kubernetes.io/component=operator", "--tail=-1")
    assert "forbidden" not in release.cluster.kubectl("-n", release.namespace, *logs), "a right is missing"

    # Uninstalled under a QueueJob: its workers go on, and it can still be deleted.
    release.cluster.helm("uninstall", "bullherd", "-n", release.namespace, "--wait", "--timeout", "120s")
    release.until(f"deployment/{worker['metadata']['name']}", "{.status.readyReplicas}", "1")
    release.cluster.kubectl("-n", release.namespace, "delete", "queuejob", "mail", "--timeout=20s")
    release.until_no_pod_is_left()


def autoscaler_active(field: str) -> str:
    """The way to a field of that condition of a QueueJob."""
    return f'{{.status.conditions[?(@.type=="AutoscalerActive")].{field}}}'


def test_beside_another_adapter_it_scales_by_itself_and_after_it_by_an_hpa(
    external_metrics_api: ExternalMetricsApi, release: Release, whole: dict[str, Any]
) -> None:
    """The cluster's one APIService is another's at first. The change of engine changes no replicas."""
    cluster = release.cluster
    strangers = api_service("default", "another-adapter")
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(strangers))
    release.install(whole, AUTO)
    apply(release, queue_job(whole["image"]))
    release.until("queuejob/mail", autoscaler_active("reason"), "ExternalMetricsNotOurs")
    release.redis("LPUSH", "bull:mail:wait", *map(str, range(1, 8)))
    release.until("deployment/mail", "{.spec.replicas}", "2")
    assert cluster.api_service()["spec"] == strangers["spec"]

    cluster.kubectl("delete", "apiservice", API_SERVICE)
    release.upgrade(whole, AUTO)
    release.until(f"apiservice/{API_SERVICE}", '{.status.conditions[?(@.type=="Available")].status}', "True")
    release.until("hpa/mail", '{.status.conditions[?(@.type=="ScalingActive")].status}', "True")
    release.until("queuejob/mail", autoscaler_active("status"), "True")
    assert cluster.get("deployment", "mail", "-n", release.namespace)["spec"]["replicas"] == 2
    (metric,) = cluster.get("hpa", "mail", "-n", release.namespace)["status"]["currentMetrics"]
    assert metric["external"]["metric"]["name"] == "bullherd_queue_backlog"
    for component in ("operator", "server"):
        logs = ("logs", "-l", f"app.kubernetes.io/component={component}", "--tail=-1")
        assert "forbidden" not in cluster.kubectl("-n", release.namespace, *logs), "a right is missing"

    cluster.helm("uninstall", "bullherd", "-n", release.namespace, "--wait", "--timeout", "120s")
    assert cluster.api_service() is None


def test_what_is_wrong_with_connections_is_told_and_heals(release: Release, whole: dict[str, Any]) -> None:
    """The operator comes up without a Secret and without a Redis, says which, and heals when it is there."""
    away = {"host": "not-there.example.com", "namespaces": [release.namespace]}
    later = {
        "host": f"bullherd-redis.{release.namespace}.svc",
        "existingSecret": {"name": "later", "passwordKey": "pw"},
        "namespaces": [release.namespace],
    }
    release.install(whole, {"connections": {"away": away, "later": later}})
    with pytest.raises(HelmError, match="bullherd-test"):
        release.helm_test("10s")
    said = release.cluster.kubectl("-n", release.namespace, "logs", "bullherd-test")
    assert "FAILED  connection away (not-there.example.com:6379)" in said
    assert "FAILED  connection later" in said
    assert "ok      connection default" in said

    apply(release, queue_job(whole["image"], connection="later"))
    reason = '{.status.conditions[?(@.type=="Ready")].reason}'
    release.until("queuejob/mail", reason, "ConnectionInvalid")
    password = release.secret("bullherd-redis")["password"]
    release.cluster.kubectl(
        "-n", release.namespace, "create", "secret", "generic", "later", f"--from-literal=pw={password}"
    )
    # The kubelet looks for new Secrets about once a minute; new pods see them at once.
    release.cluster.kubectl("-n", release.namespace, "rollout", "restart", "deployment/bullherd-operator")
    release.until("queuejob/mail", '{.status.conditions[?(@.type=="Ready")].status}', "True")
