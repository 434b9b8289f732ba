"""From the settings to Redis connections: the link's raw connection, and the client that blocks for markers."""

from __future__ import annotations

import base64
import re
from typing import Any

import redis.asyncio
from redis.asyncio.connection import Connection, SSLConnection

from bullherd_worker.settings import QueueSettings, RedisSettings

CONNECT_LIMIT_S = 5.0


def client_name(queue: QueueSettings, worker: str) -> str:
    """The name of a worker's blocking connection, as Node writes it: its ``queue.getWorkers()`` then lists
    this worker.

    The queue's name is in base64 there; of the worker's name only what CLIENT SETNAME takes is left.
    """
    encoded = base64.b64encode(queue.name.encode()).decode()
    prefix = re.sub(r"[^!-~]", "_", queue.prefix)
    return f"{prefix}:{encoded}:w:{re.sub(r'[^!-~]', '_', worker)}"


def make_connection(settings: RedisSettings) -> Connection:
    """A connection for the link: no read timeout (the link has its own), replies as bytes."""
    options = {**_options(settings), "socket_timeout": None, "socket_connect_timeout": CONNECT_LIMIT_S}
    if settings.tls:
        return SSLConnection(**options, **_tls(settings))
    return Connection(**options)


def make_blocking_client(settings: RedisSettings, name: str, longest_block_s: float) -> redis.asyncio.Redis:
    """A client for blocking calls. redis-py's own read timeout is 5 s, shorter than a block: it would look
    like an outage.
    """
    return redis.asyncio.Redis(
        **_options(settings),
        **({"ssl": True, **_tls(settings)} if settings.tls else {}),
        socket_timeout=longest_block_s + 10,
        socket_connect_timeout=CONNECT_LIMIT_S,
        client_name=name,
        single_connection_client=True,
    )


def _options(settings: RedisSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.username,
        "password": None if settings.password is None else settings.password.get_secret_value(),
        "protocol": 2,
        "decode_responses": False,
        "socket_keepalive": True,
        # CLIENT SETINFO is no right of a worker's Redis user, and unknown before Redis 7.2.
        "driver_info": None,
    }


def _tls(settings: RedisSettings) -> dict[str, Any]:
    return {"ssl_ca_certs": None if settings.tls_ca_file is None else str(settings.tls_ca_file)}
