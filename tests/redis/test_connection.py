"""Logging in, TLS, and what is said when Redis cannot be used. Needs redis-server and openssl."""

from __future__ import annotations

import dataclasses
import time
import traceback
from pathlib import Path

import pytest

from bullherd.bullmq import connection
from bullherd.bullmq.connection import RedisUnavailable, connect, told_as_unavailable
from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions
from tests.fixtures.redis import RedisServer, StartRedis, free_port

pytestmark = pytest.mark.redis


async def ping(endpoint: RedisEndpoint) -> None:
    client = connect(endpoint)
    try:
        with told_as_unavailable(endpoint):
            await client.ping()
    finally:
        await client.aclose()


async def refusal(endpoint: RedisEndpoint) -> str:
    with pytest.raises(RedisUnavailable) as caught:
        await ping(endpoint)
    assert caught.value.address == endpoint.address
    return str(caught.value)


async def test_user_database_tls_and_client_certificate(start_redis: StartRedis) -> None:
    server = start_redis(username="ann", password="s3cret", db=3, tls=True, client_certificate=True)
    client = connect(server.endpoint)
    await client.set("k", "v")
    (us,) = [one for one in await server.client().client_list() if one["name"] == "bullherd"]
    assert (us["user"], us["db"]) == ("ann", "3")
    await client.aclose()


async def test_no_key_file_and_no_descriptor_is_left_behind(start_redis: StartRedis) -> None:
    endpoint = start_redis(tls=True, client_certificate=True).endpoint
    files, descriptors = listed("/tmp", "/dev/shm"), listed("/proc/self/fd")
    await ping(endpoint)
    assert listed("/tmp", "/dev/shm") <= files
    assert len(listed("/proc/self/fd")) <= len(descriptors)


def listed(*folders: str) -> set[Path]:
    return {path for folder in folders for path in Path(folder).iterdir()}


async def test_a_password_alone(start_redis: StartRedis) -> None:
    await ping(start_redis(password="s3cret").endpoint)


async def test_nobody_listens() -> None:
    endpoint = RedisEndpoint("127.0.0.1", port=free_port())
    said = await refusal(endpoint)
    assert said.startswith(f"Redis at {endpoint.address} cannot be used: ")
    assert "refused" in said.lower() or "connect" in said.lower()
    assert said.endswith(".")


async def test_a_name_that_does_not_exist() -> None:
    assert "name" in (await refusal(RedisEndpoint("redis.invalid"))).lower()


async def test_a_wrong_password(start_redis: StartRedis) -> None:
    endpoint = dataclasses.replace(start_redis(password="right").endpoint, password="wrong-one")
    said = await refusal(endpoint)
    assert "user name or password are wrong" in said
    assert "wrong-one" not in said


async def test_a_missing_password(start_redis: StartRedis) -> None:
    endpoint = dataclasses.replace(start_redis(password="right").endpoint, password=None)
    assert "user name or password are wrong" in await refusal(endpoint)


@pytest.mark.parametrize("password", ["hunter2", "hunter2" * 30], ids=["short", "long"])
async def test_the_password_is_never_quoted(start_redis: StartRedis, password: str) -> None:
    """A server without AUTH repeats its arguments in the error, the first 128 bytes of them."""
    server = start_redis(options=("--rename-command", "AUTH", "HIDDEN"))
    endpoint = dataclasses.replace(server.endpoint, username="ann", password=password)
    with pytest.raises(RedisUnavailable) as caught:
        await ping(endpoint)
    assert "unknown command" in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_another_ca(start_redis: StartRedis) -> None:
    server, stranger = start_redis(tls=True), start_redis(tls=True)
    endpoint = dataclasses.replace(server.endpoint, tls=stranger.endpoint.tls)
    assert "certificate verify failed" in await refusal(endpoint)


async def test_the_systems_trust_store_is_the_default(start_redis: StartRedis) -> None:
    endpoint = dataclasses.replace(start_redis(tls=True).endpoint, tls=TlsOptions())
    assert "certificate verify failed" in await refusal(endpoint)


async def test_a_name_that_the_certificate_does_not_hold(start_redis: StartRedis) -> None:
    server = start_redis(tls=True, options=("--bind", "127.0.0.1", "127.0.0.2"))
    assert "mismatch" in await refusal(dataclasses.replace(server.endpoint, host="127.0.0.2"))


async def test_plain_text_to_a_tls_server(start_redis: StartRedis) -> None:
    endpoint = dataclasses.replace(start_redis(tls=True).endpoint, tls=None)
    assert "perhaps because it wants TLS" in await refusal(endpoint)


async def test_tls_to_a_plain_server(
    start_redis: StartRedis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.3)
    endpoint = dataclasses.replace(redis_server.endpoint, tls=start_redis(tls=True).endpoint.tls)
    assert "perhaps because it does not speak TLS" in await refusal(endpoint)


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        (TlsOptions(ca="no PEM"), "the CA is not a PEM certificate"),
        (
            TlsOptions(certificate="no PEM", private_key="nor this"),
            "the client certificate and its private key",
        ),
        (TlsOptions(certificate="half a pair"), "the client certificate and its private key"),
    ],
)
async def test_texts_that_are_no_certificates(redis_server: RedisServer, tls: TlsOptions, said: str) -> None:
    assert said in await refusal(dataclasses.replace(redis_server.endpoint, tls=tls))


async def test_a_server_that_hangs(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REPLY_TIMEOUT_S", 0.3)
    redis_server.freeze()
    begun = time.monotonic()
    assert "did not answer in time" in await refusal(redis_server.endpoint)
    assert time.monotonic() - begun < 2
    redis_server.thaw()
    await ping(redis_server.endpoint)
