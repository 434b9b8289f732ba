"""The script that `helm test` runs, against real Redis servers. Needs redis-server and openssl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART
from tests.fixtures.redis import RedisServer, StartRedis, free_port

pytestmark = pytest.mark.redis

SCRIPT = CHART / "files" / "test_release.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the connection files are."""
    made = tmp_path / "connections"
    made.mkdir()
    return made


def write(folder: Path, name: str, server: RedisServer, **more: Any) -> None:
    endpoint = server.endpoint
    connection = {
        "host": endpoint.host,
        "port": endpoint.port,
        "db": endpoint.db,
        "username": endpoint.username,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(connection | more))


def run(folder: Path, *processes: str) -> tuple[int, str]:
    command = [sys.executable, "-c", SCRIPT.read_text(), str(folder), *processes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_plain_password_and_user(folder: Path, start_redis: StartRedis, tmp_path: Path) -> None:
    write(folder, "plain", start_redis())
    write(folder, "password", start_redis(password="s3cret", db=2), password="s3cret")
    (tmp_path / "file").write_text("s3cret\n")
    write(
        folder,
        "user",
        start_redis(username="bullherd", password="s3cret"),
        passwordFile=str(tmp_path / "file"),
    )
    code, said = run(folder)
    assert code == 0, said
    assert [line.split()[:3] for line in said.splitlines()] == [
        ["ok", "connection", "password"],
        ["ok", "connection", "plain"],
        ["ok", "connection", "user"],
    ]


@pytest.mark.parametrize("as_files", [False, True], ids=["texts", "files"])
def test_tls_with_an_own_ca_and_a_client_certificate(
    folder: Path, start_redis: StartRedis, tmp_path: Path, as_files: bool
) -> None:
    server = start_redis(password="s3cret", tls=True, client_certificate=True)
    options = server.endpoint.tls
    assert options is not None
    pems = {"ca": options.ca, "certificate": options.certificate, "privateKey": options.private_key}
    tls: dict[str, Any] = {"enabled": True}
    for name, text in pems.items():
        assert text is not None
        (tmp_path / name).write_text(text)
        tls |= {f"{name}File": str(tmp_path / name)} if as_files else {name: text}
    write(folder, "default", server, password="s3cret", tls=tls)
    code, said = run(folder)
    assert code == 0, said


def test_each_failure_is_named_and_the_others_are_still_tried(folder: Path, start_redis: StartRedis) -> None:
    write(folder, "good", start_redis())
    write(folder, "refused", start_redis(password="s3cret"), password="wrong")
    gone = {"host": "127.0.0.1", "port": free_port()}
    (folder / "gone.yaml").write_text(yaml.safe_dump(gone))
    nobody = f"http://127.0.0.1:{free_port()}/readyz"
    code, said = run(folder, f"an operator={nobody}", f"a server={nobody}")
    assert code == 1
    lines = said.splitlines()
    assert lines[0].startswith("FAILED  an operator is ready: URLError")
    assert lines[1].startswith("FAILED  a server is ready: URLError")
    assert lines[2].startswith(f"FAILED  connection gone (127.0.0.1:{gone['port']}): ConnectionError")
    assert lines[3].startswith("ok      connection good")
    assert "AuthenticationError" in lines[4]
