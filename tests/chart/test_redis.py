"""The embedded Redis' manifests and configuration. Needs helm; one test a redis-server."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.chart.rendering import HelmError, Rendered, render
from tests.fixtures.redis import free_port


def stateful_set(rendered: Rendered) -> dict[str, Any]:
    return rendered.get("StatefulSet", "bullherd-redis")


def volumes(rendered: Rendered) -> dict[str, dict[str, Any]]:
    return {v["name"]: v for v in stateful_set(rendered)["spec"]["template"]["spec"]["volumes"]}


def embedded(**values: Any) -> Rendered:
    return render({"redis": {"embedded": values}})


def test_it_never_throws_items_away() -> None:
    config = embedded().get("ConfigMap", "bullherd-redis")["data"]["redis.conf"].splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes", "appendfsync everysec"} <= set(config)


def test_the_password_is_one_and_the_same_wherever_it_stands() -> None:
    rendered = embedded()
    password = rendered.secret("bullherd-redis")["password"]
    assert len(password) == 32
    assert rendered.connection("default")["password"] == password
    for namespace in ("bullherd", "default"):
        assert rendered.secret("bullherd-connection-default", namespace)["password"] == password


def test_a_rendering_without_a_cluster_has_a_new_password_unless_one_is_given() -> None:
    assert embedded().secret("bullherd-redis") != embedded().secret("bullherd-redis")
    given = embedded(password="s3cret: #1")
    assert given.secret("bullherd-redis")["password"] == "s3cret: #1"
    assert given.connection("default")["password"] == "s3cret: #1"
    assert given.documents == embedded(password="s3cret: #1").documents


def test_nothing_about_the_password_can_be_learnt_from_the_pod() -> None:
    """Not even whether a guess is right. That a new one restarts Redis is tested with the cluster."""
    assert stateful_set(embedded(password="one")) == stateful_set(embedded(password="two"))


def test_a_new_chart_version_does_not_restart_redis() -> None:
    assert "helm.sh/chart" not in stateful_set(embedded())["spec"]["template"]["metadata"]["labels"]


def test_a_password_from_an_existing_secret_is_never_rendered() -> None:
    rendered = embedded(existingSecret={"name": "mine", "passwordKey": "pass"})
    secrets = {secret["metadata"]["name"] for secret in rendered.of_kind("Secret")}
    assert secrets == {"bullherd-connections", "bullherd-server-tls"}
    container = stateful_set(rendered)["spec"]["template"]["spec"]["containers"][0]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "pass"}
    connection = rendered.connection("default")
    assert "password" not in connection
    assert connection["passwordFile"] == "/etc/bullherd/secrets/default/password"
    assert connection["workerSecret"] == {"name": "mine", "passwordKey": "pass"}


def test_two_passwords_are_refused() -> None:
    with pytest.raises(HelmError, match="both a password and an existingSecret"):
        embedded(password="x", existingSecret={"name": "mine"})


def test_the_claim_stays_when_the_release_goes() -> None:
    claim = embedded(persistence={"size": "3Gi", "storageClassName": "fast"}).get(
        "PersistentVolumeClaim", "bullherd-redis"
    )
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "3Gi"}},
    }


def test_storage_class_default_and_none_differ() -> None:
    default = embedded().get("PersistentVolumeClaim", "bullherd-redis")
    none = embedded(persistence={"storageClassName": ""}).get("PersistentVolumeClaim", "bullherd-redis")
    assert "storageClassName" not in default["spec"]
    assert none["spec"]["storageClassName"] == ""


def test_data_can_live_in_a_claim_of_ones_own_or_with_the_pod() -> None:
    own = embedded(persistence={"existingClaim": "mine"})
    assert own.of_kind("PersistentVolumeClaim") == []
    assert volumes(own)["data"]["persistentVolumeClaim"] == {"claimName": "mine"}
    gone = embedded(persistence={"enabled": False})
    assert gone.of_kind("PersistentVolumeClaim") == []
    assert volumes(gone)["data"]["emptyDir"] == {}


def test_nothing_of_it_is_left_when_it_is_switched_off() -> None:
    rendered = embedded(enabled=False)
    assert not [d for d in rendered.documents if d["metadata"]["name"].endswith("-redis")]
    assert rendered.secret("bullherd-connections") == {}


def redis_cli(port: int, probe: list[str], password: str) -> int:
    """The exit code of the pod's own probe."""
    command = [probe[0], "-p", str(port), *probe[1:]]
    return subprocess.run(command, env={**os.environ, "REDISCLI_AUTH": password}, check=False).returncode


@pytest.mark.redis
def test_the_pods_command_and_probe_work_with_a_real_redis(tmp_path: Path) -> None:
    """The same words as in the pod; only the file, the folder and the port are this test's. The password is
    not among the arguments, which everybody on the node can read.
    """
    rendered = embedded(extraConfig="timeout 7")
    config = rendered.get("ConfigMap", "bullherd-redis")["data"]["redis.conf"]
    port, password = free_port(), r"""s3cret: #1 "quoted" 'twice' \x41 $HOME $(id) %s"""
    (tmp_path / "redis.conf").write_text(
        config.replace("port 6379", f"port {port}").replace("dir /data", f"dir {tmp_path}")
    )
    container = stateful_set(rendered)["spec"]["template"]["spec"]["containers"][0]
    words = [*container["command"], *container["args"]]
    command = [word.replace("/etc/redis/redis.conf", str(tmp_path / "redis.conf")) for word in words]
    server = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "REDISCLI_AUTH": password})
    probe = container["readinessProbe"]["exec"]["command"]
    try:
        limit = time.monotonic() + 10
        while redis_cli(port, probe, password) != 0:
            assert server.poll() is None, "redis-server ended"
            assert time.monotonic() < limit, "the probe never passed"
        assert redis_cli(port, probe, "wrong") != 0
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert arguments.startswith("redis-server"), "the process that gets the signals must be Redis itself"
        assert "s3cret" not in arguments
        with redis.Redis(port=port, password=password, decode_responses=True) as client:
            settings = client.config_get("maxmemory-policy", "appendonly", "maxmemory", "timeout", "save")
        assert settings == {
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "maxmemory": str(384 * 1024**2),
            "timeout": "7",
            "save": "",
        }
    finally:
        server.kill()
        server.wait()
