"""What the API server lets the operator and the people of a namespace do. Needs the cluster, no image."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.chart.release import Release

pytestmark = pytest.mark.cluster

NEEDED = [
    *((verb, "queuejobs.bullherd.dev") for verb in ("list", "watch")),
    ("patch", "queuejobs.bullherd.dev status"),
    *((verb, "deployments.apps") for verb in ("get", "list", "watch", "create", "patch")),
    ("list", "pods"),
    ("create", "events"),
]
REFUSED = [
    *((verb, "secrets") for verb in ("get", "list", "watch", "create", "patch")),
    *((verb, "queuejobs.bullherd.dev") for verb in ("create", "update", "patch", "delete")),
    ("update", "queuejobs.bullherd.dev status"),
    *((verb, "deployments.apps") for verb in ("update", "delete", "deletecollection")),
    *((verb, "pods") for verb in ("get", "watch", "create", "patch", "delete")),
    ("create", "pods exec"),
    *((verb, "events") for verb in ("list", "patch", "delete")),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("list", "namespaces"),
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


def test_with_watched_namespaces_it_may_work_there_only(release: Release, no_pods: dict[str, Any]) -> None:
    release.install(no_pods, {"watchNamespaces": [release.namespace]})
    cluster, who = release.cluster, release.operator
    assert cluster.answers(who, NEEDED, release.namespace) == dict.fromkeys(NEEDED, True)
    assert cluster.answers(who, NEEDED, "default") == dict.fromkeys(NEEDED, False)
    assert not cluster.may(who, "get", "secrets", release.namespace)


def test_inline_credentials_let_it_get_but_not_list_secrets(
    release: Release, no_pods: dict[str, Any]
) -> None:
    release.install(no_pods, {"inlineCredentials": {"namespaces": [release.namespace]}})
    cluster, who = release.cluster, release.operator
    assert cluster.may(who, "get", "secrets", release.namespace)
    assert not cluster.may(who, "list", "secrets", release.namespace)
    assert not cluster.may(who, "get", "secrets", "default")


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
    changes = [(verb, "queuejobs.bullherd.dev") for verb in ("create", "update", "patch", "delete")]
    assert cluster.answers("view", changes, namespace) == dict.fromkeys(changes, False)
    for who in ("edit", "admin"):
        assert cluster.answers(who, changes, namespace) == dict.fromkeys(changes, True)
    assert not cluster.may("edit", "patch", "queuejobs.bullherd.dev status", namespace)
