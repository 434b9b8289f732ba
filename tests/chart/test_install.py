"""Install, upgrade, roll back, uninstall with the real helm. Needs the cluster and its Redis image."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.release import Release, Values
from tests.chart.rendering import CHART, HelmError

pytestmark = pytest.mark.e2e


def test_password_and_items_survive_upgrade_and_rollback(release: Release, redis_only: Values) -> None:
    release.install(redis_only)
    password = release.secret("bullherd-redis")["password"]
    assert release.redis("SET", "bull:mail:1", "an item") == "OK"

    before = redis_pod(release)["metadata"]["uid"]
    release.upgrade(redis_only)
    assert redis_pod(release)["metadata"]["uid"] == before, "an upgrade that changes nothing restarts nothing"

    release.upgrade(redis_only, {"redis": {"embedded": {"maxmemory": "100mb"}}})
    assert release.redis("CONFIG", "GET", "maxmemory").split()[1] == str(100 * 1024**2)
    assert release.redis("GET", "bull:mail:1") == "an item"
    assert release.secret("bullherd-redis")["password"] == password
    assert release.secret("bullherd-connection-default")["password"] == password

    release.cluster.helm("rollback", "bullherd", "2", "-n", release.namespace, "--wait", "--timeout", "120s")
    assert release.redis("CONFIG", "GET", "maxmemory").split()[1] == str(384 * 1024**2)
    assert release.redis("GET", "bull:mail:1") == "an item"
    assert release.secret("bullherd-redis")["password"] == password


def test_a_new_password_reaches_redis_and_everybody_else(release: Release, redis_only: Values) -> None:
    """By a restart of Redis, which the revision in its pod's annotation brings about; then it rests."""
    release.install(redis_only)
    release.redis("SET", "bull:mail:1", "an item")
    new = {"redis": {"embedded": {"password": "n3w"}}}
    release.upgrade(redis_only, new)
    assert release.redis("CONFIG", "GET", "requirepass").split()[1] == "n3w"
    assert release.redis("GET", "bull:mail:1") == "an item"
    assert yaml.safe_load(release.secret("bullherd-connections")["default.yaml"])["password"] == "n3w"
    assert release.secret("bullherd-connection-default")["password"] == "n3w"

    pod = redis_pod(release)
    assert pod["metadata"]["annotations"]["bullherd.dev/password-revision"] == "2"
    release.upgrade(redis_only, new)
    assert redis_pod(release)["metadata"]["uid"] == pod["metadata"]["uid"]


def redis_pod(release: Release) -> dict[str, Any]:
    pod: dict[str, Any] = release.cluster.get("pod", "bullherd-redis-0", "-n", release.namespace)
    return pod


def test_uninstalling_leaves_the_queues_and_nothing_else(release: Release, redis_only: Values) -> None:
    release.install(redis_only)
    release.redis("SET", "bull:mail:1", "an item")
    assert len(release.left()) > 10
    release.uninstall()
    assert release.left() == {"persistentvolumeclaim/bullherd-redis"}

    release.install(redis_only)
    assert release.redis("GET", "bull:mail:1") == "an item"


def test_switching_the_embedded_redis_off_keeps_its_volume(release: Release, redis_only: Values) -> None:
    release.install(redis_only)
    release.redis("SET", "bull:mail:1", "an item")
    release.upgrade(redis_only, {"redis": {"embedded": {"enabled": False}}})
    release.until_no_pod_is_left()
    assert "default.yaml" not in release.secret("bullherd-connections")
    assert {name for name in release.left() if "redis" in name} == {"persistentvolumeclaim/bullherd-redis"}
    release.upgrade(redis_only)
    assert release.redis("GET", "bull:mail:1") == "an item"


def test_a_connection_that_is_taken_away_is_gone(release: Release, no_pods: Values) -> None:
    sessions = {"host": "redis.example.com", "password": "x", "namespaces": [release.namespace]}
    release.install(no_pods, {"connections": {"sessions": sessions, "mail": {"host": "mail.example.com"}}})
    assert set(release.secret("bullherd-connections")) == {"sessions.yaml", "mail.yaml"}
    assert release.secret("bullherd-connection-sessions")["password"] == "x"
    release.upgrade(no_pods, {"connections": {"mail": {"host": "mail.example.com"}}})
    assert set(release.secret("bullherd-connections")) == {"mail.yaml"}
    assert "secret/bullherd-connection-sessions" not in release.left()


def test_a_namespace_that_does_not_exist_is_named(release: Release, no_pods: Values) -> None:
    missing = {"host": "redis.example.com", "password": "x", "namespaces": ["not-there"]}
    with pytest.raises(HelmError, match='namespaces "not-there" not found'):
        release.install(no_pods, {"connections": {"sessions": missing}})


@pytest.fixture
def own_crd(release: Release, tmp_path: Path) -> Iterator[tuple[Release, str]]:
    """A copy of the chart with a definition of its own: the real one belongs to the cluster's users."""
    chart = Path(shutil.copytree(CHART, tmp_path / "bullherd"))
    name = f"tests.{release.namespace}.example.com"
    for path in (chart / "files" / "crds").glob("*.yaml"):
        path.unlink()
    write_crd(chart, name, {"colour": {"type": "string"}})
    yield Release(release.cluster, release.namespace, chart), name
    release.cluster.kubectl("delete", "crd", name, "--ignore-not-found")


WITH_CRDS = {"crds": {"install": True}}


def test_crds_are_upgraded_and_outlive_the_release(own_crd: tuple[Release, str], no_pods: Values) -> None:
    release, name = own_crd
    release.install(no_pods, WITH_CRDS)
    write_crd(release.chart, name, {"colour": {"type": "string"}, "size": {"type": "integer"}})
    release.upgrade(no_pods, WITH_CRDS)
    assert set(fields(release, name)) == {"colour", "size"}
    release.upgrade(no_pods)
    assert set(fields(release, name)) == {"colour", "size"}
    release.upgrade(no_pods, WITH_CRDS)
    release.uninstall()
    assert set(fields(release, name)) == {"colour", "size"}


def test_crds_that_kubectl_applied_can_be_taken_over(own_crd: tuple[Release, str], no_pods: Values) -> None:
    release, name = own_crd
    file = str(release.chart / "files" / "crds" / "test.yaml")
    release.cluster.kubectl("apply", "--server-side", "-f", file)
    write_crd(release.chart, name, {"colour": {"type": "integer"}})
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        release.install(no_pods, WITH_CRDS)
    release.upgrade(no_pods, WITH_CRDS, flags=["--install", "--take-ownership", "--force-conflicts"])
    assert fields(release, name) == {"colour": {"type": "integer"}}


def fields(release: Release, crd: str) -> dict[str, Any]:
    version = release.cluster.get("crd", crd)["spec"]["versions"][0]
    properties: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return properties


def write_crd(chart: Path, name: str, properties: dict[str, Any]) -> None:
    plural, _, group = name.partition(".")
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": "test", "kind": "Test", "listKind": "TestList"},
            "versions": [version],
        },
    }
    (chart / "files" / "crds" / "test.yaml").write_text(yaml.safe_dump(crd))
