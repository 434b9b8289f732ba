"""From spec.redis to a connection: mounted files and Secrets, good, bad, changing. Needs nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bullherd.controllers.connections import Connections
from bullherd.core.connection import Connection, ConnectionProblem, SecretKey, WorkerSecrets
from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions
from bullherd.kube.client import KubernetesError
from bullherd.kube.secrets import SECRETS
from tests.unit.builders import job
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

PASSWORD = "correct-horse"


@pytest.fixture
def api() -> FakeKubernetes:
    return FakeKubernetes()


@pytest.fixture
def connections(api: FakeKubernetes, tmp_path: Path) -> Connections:
    return Connections(api, tmp_path)


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("bullherd.controllers.connections.time", SimpleNamespace(monotonic=lambda: clock.now))

    def passes(seconds: float) -> None:
        clock.now += seconds

    return passes


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def put_secret(api: FakeKubernetes, name: str = "redis", **values: str | bytes) -> None:
    data = {
        key.replace("_", "."): base64.b64encode(v.encode() if isinstance(v, str) else v).decode()
        for key, v in values.items()
    }
    api.put(SECRETS, {"metadata": {"namespace": "shop", "name": name}, "data": data})


async def good(connections: Connections, **redis: Any) -> Connection:
    found = await connections.resolve(job(redis=redis))
    assert isinstance(found, Connection), found
    return found


async def problem(connections: Connections, **redis: Any) -> ConnectionProblem:
    found = await connections.resolve(job(redis=redis))
    assert isinstance(found, ConnectionProblem), found
    assert found.message.endswith(".")
    return found


class TestNamed:
    async def test_one_that_is_open_to_the_namespace(self, connections: Connections, tmp_path: Path) -> None:
        write(tmp_path, "default", "{host: redis, namespaces: [shop]}")
        assert await connections.reload()
        assert (await good(connections, connection="default")).endpoint == RedisEndpoint("redis")

    async def test_one_that_is_not_there_names_those_that_are(
        self, connections: Connections, tmp_path: Path
    ) -> None:
        write(tmp_path, "cache", "{host: redis, namespaces: [shop]}")
        write(tmp_path, "queues", "{host: redis, namespaces: ['*']}")
        write(tmp_path, "secret-project", "{host: redis, namespaces: [other]}")
        write(tmp_path, "broken", "host: [")
        await connections.reload()
        found = await problem(connections, connection="chache")
        assert found.reason == "ConnectionUnknown"
        assert "Known ones for this namespace: cache, queues." in found.message

    async def test_none_at_all(self, connections: Connections) -> None:
        await connections.reload()
        found = await problem(connections, connection="default")
        assert "Known ones for this namespace: none." in found.message

    async def test_one_that_is_not_open_to_the_namespace(
        self, connections: Connections, tmp_path: Path
    ) -> None:
        write(tmp_path, "default", "{host: redis, namespaces: [mail]}")
        await connections.reload()
        found = await problem(connections, connection="default")
        assert found.reason == "ConnectionNotAllowed"
        assert "'shop'" in found.message

    async def test_one_that_cannot_be_used(self, connections: Connections, tmp_path: Path) -> None:
        write(tmp_path, "default", f"{{password: {PASSWORD}}}")
        await connections.reload()
        found = await problem(connections, connection="default")
        assert found.reason == "ConnectionInvalid"
        assert PASSWORD not in found.message

    async def test_secrets_in_files_beside_it(self, connections: Connections, tmp_path: Path) -> None:
        secret = tmp_path / "password"
        secret.write_text(f"{PASSWORD}\n")
        write(tmp_path, "default", f"{{host: redis, passwordFile: {secret}, namespaces: ['*']}}")
        await connections.reload()
        assert (await good(connections, connection="default")).endpoint.password == PASSWORD


class TestReload:
    async def test_says_whether_anything_changed(self, connections: Connections, tmp_path: Path) -> None:
        assert not await connections.reload()
        path = write(tmp_path, "default", "{host: redis}")
        assert await connections.reload()
        assert not await connections.reload()
        path.write_text("{host: redis, password: new}")
        assert await connections.reload()
        path.unlink()
        assert await connections.reload()

    async def test_a_folder_that_is_not_there_is_empty(self, api: FakeKubernetes, tmp_path: Path) -> None:
        assert not await Connections(api, tmp_path / "none").reload()

    @pytest.mark.parametrize(
        "content",
        [b"host: 2024-99-99", b"\xff\xfe\x00", b"host: [", b"", b"- a"],
        ids=["an impossible date", "no text", "no YAML", "empty", "a list"],
    )
    async def test_one_bad_file_spoils_no_other(
        self, connections: Connections, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "bad.yaml").write_bytes(content)
        write(tmp_path, "default", "{host: redis, namespaces: ['*']}")
        await connections.reload()
        await good(connections, connection="default")
        assert (await problem(connections, connection="bad")).reason.startswith("Connection")

    async def test_a_file_that_cannot_be_read_for_now_keeps_what_was_read(
        self, connections: Connections, tmp_path: Path
    ) -> None:
        path = write(tmp_path, "default", "{host: redis, namespaces: ['*']}")
        await connections.reload()
        path.unlink()
        path.mkdir()  # reading it fails for everyone, root too
        assert not await connections.reload()
        await good(connections, connection="default")

    async def test_a_password_file_that_cannot_be_read_is_named(
        self, connections: Connections, tmp_path: Path
    ) -> None:
        secret = tmp_path / "password"
        secret.write_bytes(b"\xff\xfe")
        write(tmp_path, "default", f"{{host: redis, passwordFile: {secret}, namespaces: ['*']}}")
        await connections.reload()
        assert f"{secret} cannot be read" in (await problem(connections, connection="default")).message


INLINE = {"host": "redis", "passwordSecretRef": {"name": "redis"}}


class TestInline:
    async def test_without_secrets_nothing_is_asked(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        found = await good(connections, host="redis", port=6380, db=2, username="me")
        assert found == Connection(RedisEndpoint("redis", 6380, 2, "me"))
        assert api.requests == []

    async def test_everything_from_secrets(self, connections: Connections, api: FakeKubernetes) -> None:
        put_secret(api, "redis", password=PASSWORD)
        put_secret(api, "ca", ca_crt="CA")
        put_secret(api, "client", tls_crt="CERTIFICATE", tls_key="KEY")
        tls = {"caSecretRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}}
        found = await good(connections, **INLINE, tls=tls)
        assert found == Connection(
            RedisEndpoint("redis", password=PASSWORD, tls=TlsOptions("CA", "CERTIFICATE", "KEY")),
            WorkerSecrets(SecretKey("redis", "password"), SecretKey("ca", "ca.crt"), "client"),
        )

    async def test_tls_that_is_not_enabled_needs_no_secret(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        tls = {"enabled": False, "caSecretRef": {"name": "ca"}}
        assert (await good(connections, host="redis", tls=tls)).endpoint.tls is None
        assert api.requests == []

    async def test_a_secret_is_asked_for_once_a_minute(
        self, connections: Connections, api: FakeKubernetes, pass_seconds: Callable[[float], None]
    ) -> None:
        put_secret(api, password="old")
        for _ in range(100):
            await good(connections, **INLINE)
        assert api.count("GET", "secrets") == 1
        put_secret(api, password="new")
        pass_seconds(61)
        assert (await good(connections, **INLINE)).endpoint.password == "new"

    async def test_a_secret_that_is_distrusted_is_asked_for_again(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        put_secret(api, password="old")
        await good(connections, **INLINE)
        put_secret(api, password="new")
        connections.distrust(job(redis=INLINE))
        assert (await good(connections, **INLINE)).endpoint.password == "new"

    async def test_a_secret_that_is_missing_is_told_and_found_as_soon_as_it_is_there(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        found = await problem(connections, **INLINE)
        assert found.reason == "SecretMissing"
        assert "'redis'" in found.message
        assert "'shop'" in found.message
        put_secret(api, password=PASSWORD)
        await good(connections, **INLINE)

    async def test_a_secret_that_may_not_be_read(self, connections: Connections, api: FakeKubernetes) -> None:
        api.refuses = lambda *_: KubernetesError(403, "secrets is forbidden")
        found = await problem(connections, **INLINE)
        assert found.reason == "SecretForbidden"
        assert "inlineCredentials.namespaces" in found.message

    async def test_a_key_that_is_missing_is_told_without_the_others_values(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        put_secret(api, passwort=PASSWORD)
        found = await problem(connections, **INLINE)
        assert found.reason == "SecretIncomplete"
        assert "'password'" in found.message
        assert PASSWORD not in found.message

    async def test_a_keystore_beside_the_password_is_no_trouble(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        put_secret(api, password=PASSWORD, keystore=b"\xff\xfe\x00")
        assert (await good(connections, **INLINE)).endpoint.password == PASSWORD

    async def test_a_password_that_is_no_text_is_told(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        put_secret(api, password=b"\xff\xfe\x00")
        assert (await problem(connections, **INLINE)).reason == "SecretIncomplete"

    async def test_an_api_server_that_is_away_is_no_missing_secret(
        self, connections: Connections, api: FakeKubernetes
    ) -> None:
        with api.away(), pytest.raises(KubernetesError):
            await connections.resolve(job(redis=INLINE))

    async def test_no_repr_shows_a_password(self, connections: Connections, api: FakeKubernetes) -> None:
        put_secret(api, password=PASSWORD)
        assert PASSWORD not in repr(await good(connections, **INLINE))
        assert PASSWORD not in repr(connections.__dict__)
