"""What the API server lets operator, server and the people of a namespace do. Needs the cluster, no image."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.chart.release import Cluster, Release
from tests.fixtures.external_metrics import API_SERVICE

pytestmark = pytest.mark.cluster

NEEDED = [
    *((verb, "queuejobs.bullherd.dev") for verb in ("list", "watch")),
    ("patch", "queuejobs.bullherd.dev status"),
    *((verb, "deployments.apps") for verb in ("get", "list", "watch", "create", "patch")),
    *((verb, "horizontalpodautoscalers.autoscaling") for verb in ("get", "list", "watch")),
    *((verb, "horizontalpodautoscalers.autoscaling") for verb in ("create", "patch", "delete")),
    *((verb, "pods") for verb in ("list", "patch")),
    ("create", "events"),
]
REFUSED = [
    *((verb, "secrets") for verb in ("get", "list", "watch", "create", "patch")),
    *((verb, "queuejobs.bullherd.dev") for verb in ("create", "update", "patch", "delete")),
    ("update", "queuejobs.bullherd.dev status"),
    *((verb, "deployments.apps") for verb in ("update", "delete", "deletecollection")),
    ("update", "horizontalpodautoscalers.autoscaling"),
    *((verb, "pods") for verb in ("get", "watch", "create", "update", "delete")),
    ("create", "pods exec"),
    *((verb, "events") for verb in ("list", "patch", "delete")),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("list", "namespaces"),
    *((verb, f"apiservices.apiregistration.k8s.io/{API_SERVICE}") for verb in ("patch", "update", "delete")),
    *((verb, "apiservices.apiregistration.k8s.io") for verb in ("get", "list", "create")),
]
OWN_SECRET = "secrets/bullherd-server-tls"
SERVER_NEEDS = [("list", "queuejobs.bullherd.dev"), ("watch", "queuejobs.bullherd.dev")]
SERVER_NEEDS_ONCE = [
    ("create", "tokenreviews.authentication.k8s.io"),
    ("create", "subjectaccessreviews.authorization.k8s.io"),
    *((verb, f"apiservices.apiregistration.k8s.io/{API_SERVICE}") for verb in ("get", "patch")),
]
SERVER_REFUSED = [
    *((verb, "secrets") for verb in ("get", "list", "watch", "create", "update", "patch")),
    *((verb, OWN_SECRET) for verb in ("create", "update", "delete")),
    *((verb, "queuejobs.bullherd.dev") for verb in ("create", "update", "patch", "delete")),
    ("patch", "queuejobs.bullherd.dev status"),
    *((verb, "deployments.apps") for verb in ("get", "list", "create", "update", "patch", "delete")),
    *((verb, "pods") for verb in ("get", "list", "create", "delete")),
    ("create", "localsubjectaccessreviews.authorization.k8s.io"),
    ("create", "serviceaccounts token"),
    *((verb, "apiservices.apiregistration.k8s.io") for verb in ("get", "list", "create", "patch")),
    *((verb, f"apiservices.apiregistration.k8s.io/{API_SERVICE}") for verb in ("create", "update", "delete")),
    ("list", "bullherd_queue_backlog.external.metrics.k8s.io"),
]


def test_the_operator_may_work_everywhere_and_read_no_secret(
    release: Release, no_pods: dict[str, Any]
) -> None:
    release.install(no_pods)
    cluster, who = release.cluster, release.operator
    assert cluster.answers(who, NEEDED) == dict.fromkeys(NEEDED, True)
    assert cluster.answers(who, REFUSED, release.namespace) == dict.fromkeys(REFUSED, False)
    for verb in ("list", "watch"):
        assert cluster.may(who, verb, "customresourcedefinitions.apiextensions.k8s.io")
    for verb in ("get", "update"):
        assert cluster.may(who, verb, "leases.coordination.k8s.io/bullherd-operator", release.namespace)
        assert not cluster.may(who, verb, "leases.coordination.k8s.io/another", release.namespace)
    for verb in ("patch", "delete"):
        assert not cluster.may(who, verb, "leases.coordination.k8s.io/bullherd-operator", release.namespace)
    assert cluster.may(who, "create", "leases.coordination.k8s.io", release.namespace)
    assert not cluster.may(who, "create", "leases.coordination.k8s.io", "kube-system")
    assert cluster.may(who, "get", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")


def test_the_server_may_look_everywhere_and_write_its_certificate_only(
    release: Release, no_pods: dict[str, Any]
) -> None:
    release.install(no_pods)
    cluster, who, needed = release.cluster, release.server, SERVER_NEEDS + SERVER_NEEDS_ONCE
    assert cluster.answers(who, needed) == dict.fromkeys(needed, True)
    assert cluster.answers(who, SERVER_REFUSED, release.namespace) == dict.fromkeys(SERVER_REFUSED, False)
    for verb in ("get", "patch"):
        assert cluster.may(who, verb, OWN_SECRET, release.namespace)
        assert not cluster.may(who, verb, OWN_SECRET, "default")
    front_proxy = "configmaps/extension-apiserver-authentication"
    assert cluster.may(who, "get", front_proxy, "kube-system")
    assert not cluster.may(who, "get", "configmaps/coredns", "kube-system")


def test_with_watched_namespaces_it_may_work_there_only(release: Release, no_pods: dict[str, Any]) -> None:
    release.install(no_pods, {"watchNamespaces": [release.namespace]})
    cluster, who = release.cluster, release.operator
    assert cluster.answers(who, NEEDED, release.namespace) == dict.fromkeys(NEEDED, True)
    assert cluster.answers(who, NEEDED, "default") == dict.fromkeys(NEEDED, False)
    assert not cluster.may(who, "get", "secrets", release.namespace)
    assert cluster.may(who, "get", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")

    assert cluster.answers(release.server, SERVER_NEEDS, release.namespace) == dict.fromkeys(
        SERVER_NEEDS, True
    )
    assert cluster.answers(release.server, SERVER_NEEDS, "default") == dict.fromkeys(SERVER_NEEDS, False)
    assert cluster.answers(release.server, SERVER_NEEDS_ONCE) == dict.fromkeys(SERVER_NEEDS_ONCE, True)


def test_inline_credentials_let_both_get_but_not_list_secrets(
    release: Release, no_pods: dict[str, Any]
) -> None:
    release.install(no_pods, {"inlineCredentials": {"namespaces": [release.namespace]}})
    cluster = release.cluster
    for who in (release.operator, release.server):
        assert cluster.may(who, "get", "secrets", release.namespace)
        assert not cluster.may(who, "list", "secrets", release.namespace)
        assert not cluster.may(who, "get", "secrets", "default")


def test_the_autoscaler_may_ask_for_the_metrics_by_kubernetes_own_role(target: Cluster) -> None:
    """The chart grants it nothing, so this must hold on any cluster."""
    controller = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    assert target.may(controller, "list", "bullherd_queue_backlog.external.metrics.k8s.io", "default")


def test_people_of_a_namespace_may_use_queuejobs(release: Release, no_pods: dict[str, Any]) -> None:
    release.install(no_pods)
    cluster, namespace = release.cluster, release.namespace
    for role in ("view", "edit", "admin"):
        cluster.kubectl(
            "-n", namespace, "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}"
        )
    # The controller manager adds the rules to view, edit and admin when it sees our roles.
    limit = time.monotonic() + 30
    while not all(
        cluster.may(who, "get", "queuejobs.bullherd.dev", namespace) for who in ("view", "edit", "admin")
    ):
        assert time.monotonic() < limit, "view, edit and admin never learnt of QueueJobs"
    metrics = [("list", f"{name}.external.metrics.k8s.io") for name in ("bullherd_queue_backlog", "another")]
    assert list(cluster.answers("view", metrics, namespace).values()) == [True, False]
    assert list(cluster.answers("view", metrics, "default").values()) == [False, False]
    changes = [(verb, "queuejobs.bullherd.dev") for verb in ("create", "update", "patch", "delete")]
    assert cluster.answers("view", changes, namespace) == dict.fromkeys(changes, False)
    for who in ("edit", "admin"):
        assert cluster.answers(who, changes, namespace) == dict.fromkeys(changes, True)
    assert not cluster.may("edit", "patch", "queuejobs.bullherd.dev status", namespace)
