"""Releases for the chart's tests, each in a namespace that enforces the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.chart.release import Cluster, Release, image, merge, own_namespace


@pytest.fixture
def target(cluster: Any) -> Cluster:
    """The cluster of `make cluster`."""
    return Cluster(cluster.kubeconfig)


@pytest.fixture
def release(target: Cluster) -> Iterator[Release]:
    """Not installed yet; whatever a test leaves of it is removed."""
    with own_namespace(target, "chart") as release:
        yield release


@pytest.fixture
def redis_only(images: Mapping[str, str], release: Release) -> dict[str, Any]:
    """Values for tests that need no running operator: the project's own Redis image, a small volume."""
    return {
        "operator": {"replicas": 0},
        "server": {"replicas": 0},
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
    images: Mapping[str, str],
    crds: None,
    no_other_operator: None,
    release: Release,
    redis_only: dict[str, Any],
) -> dict[str, Any]:
    """Values for everything as it is by default, but for QueueJobs of the release's namespace only."""
    own = {
        "image": image(images["bullherd"]),
        "watchNamespaces": [release.namespace],
        "operator": {"replicas": 2},
        "server": {"replicas": 2},
    }
    return merge(redis_only, own)


@pytest.fixture
def no_pods(release: Release) -> dict[str, Any]:
    """Values for tests of permissions and Secrets: nothing runs."""
    return {
        "operator": {"replicas": 0},
        "server": {"replicas": 0},
        "crds": {"install": False},
        "redis": {"embedded": {"enabled": False}},
    }
