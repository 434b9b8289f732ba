"""Releases for the chart's tests, each in a namespace that enforces the restricted Pod Security Standard."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.chart.release import CLUSTER_KINDS, Cluster, Release, merge

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture
def target(cluster: Any) -> Cluster:
    """The cluster of `make cluster`."""
    return Cluster(cluster.kubeconfig)


@pytest.fixture
def release(target: Cluster) -> Iterator[Release]:
    """Not installed yet; whatever a test leaves of it is removed."""
    namespace = f"chart-{secrets.token_hex(3)}"
    target.kubectl("create", "namespace", namespace)
    target.kubectl("label", "namespace", namespace, RESTRICTED)
    yield Release(target, namespace)
    target.kubectl("delete", "namespace", namespace, "--wait=false")
    for name in target.kubectl("get", CLUSTER_KINDS, "-o", "name").split():
        if name.partition("/")[2].startswith(f"{namespace}-"):
            target.kubectl("delete", name)


def image(reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}


@pytest.fixture
def redis_only(images: Mapping[str, str], release: Release) -> dict[str, Any]:
    """Values for tests that need no running operator: the project's own Redis image, a small volume."""
    return {
        "operator": {"replicas": 0},
        "crds": {"install": False},
        "redis": {
            "embedded": {
                "image": image(images["bullherd-redis"]),
                "namespaces": [release.namespace],
                "persistence": {"size": "100Mi"},
            }
        },
    }


@pytest.fixture
def whole(
    images: Mapping[str, str], crds: None, release: Release, redis_only: dict[str, Any]
) -> dict[str, Any]:
    """Values for everything as it is by default, but for QueueJobs of the release's namespace only."""
    own = {
        "image": image(images["bullherd"]),
        "watchNamespaces": [release.namespace],
        "operator": {"replicas": 2},
    }
    return merge(redis_only, own)


@pytest.fixture
def no_pods(release: Release) -> dict[str, Any]:
    """Values for tests of permissions and Secrets: nothing runs."""
    return {
        "operator": {"replicas": 0},
        "crds": {"install": False},
        "redis": {"embedded": {"enabled": False}},
    }
