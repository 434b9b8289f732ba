"""From the settings to connections: the link's, and the one that blocks for markers."""

from __future__ import annotations

import base64
import re
from typing import Any

from redis.asyncio.connection import Connection

from bullherd_worker.settings import QueueSettings, RedisSettings
from bullherd_worker.tls import PemFiles, TlsConnection

CONNECT_LIMIT_S = 5.0


def client_name(queue: QueueSettings, worker: str) -> str:
    """The name of a worker's blocking connection, as Node writes it: its ``queue.getWorkers()`` then lists
    this worker.

    The queue's name is in base64 there; of the worker's name only what CLIENT SETNAME takes is left.
    """
    encoded = base64.b64encode(queue.name.encode()).decode()
    prefix = re.sub(r"[^!-~]", "_", queue.prefix)
    return f"{prefix}:{encoded}:w:{re.sub(r'[^!-~]', '_', worker)}"


def make_connection(settings: RedisSettings, name: str | None = None) -> Connection:
    """A connection without a read timeout (its users have their own); replies are bytes."""
    options = {**_options(settings), "client_name": name}
    if settings.tls:
        return TlsConnection(files=PemFiles(settings), **options)
    return Connection(**options)


def _options(settings: RedisSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.username,
        "password": None if settings.password is None else settings.password.get_secret_value(),
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_LIMIT_S,
        "socket_keepalive": True,
        # CLIENT SETINFO is no right of a worker's Redis user, and unknown before Redis 7.2.
        "driver_info": None,
    }
