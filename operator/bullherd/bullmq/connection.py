"""Connections to Redis: how long to wait, who we say we are, and one error for everything that can go wrong.

redis-py heals its connections by itself: one that broke while idle is replaced before use. What remains is
told as ``RedisUnavailable``, a sentence for a person. It may quote the server, and a server that does not
know AUTH quotes the password back ("unknown command 'AUTH', with args beginning with: …"), so the password
is taken out, and the original exception is not chained, because logs print chains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bullherd.bullmq.tls import PemContext, TlsConnection
from bullherd.core.redis_endpoint import RedisEndpoint

CLIENT_NAME = "bullherd"
CONNECT_TIMEOUT_S = 3.0
REPLY_TIMEOUT_S = 5.0
# Must be longer than any block that we ask for: redis-py counts the wait for a blocking reply as silence.
BLOCKING_REPLY_TIMEOUT_S = 15.0
LONGEST_BLOCK_S = 10.0

MOST_CONNECTIONS = 2
"""Of one client. All that we do with a server but waiting goes through one client, for a server may allow few
connections; the second lets one look pass another that is slow.
"""

_TURN_TIMEOUT_S = 30.0
"""Seconds to wait for one of them. Those who have them fail sooner, and then say why."""

_QUOTED_ARGUMENTS = re.compile(r", with args beginning with:.*")


class RedisUnavailable(Exception):  # noqa: N818 - it is a state, and reads so where it is caught
    """A Redis could not be asked: nothing is known of what it holds. ``str()`` is a sentence with the reason.

    Whatever was last known stays the best guess: unknown is not zero. The next call connects anew.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"Redis at {address} cannot be used: {reason.rstrip('.')}.")
        self.address = address
        self.reason = reason


def connect(endpoint: RedisEndpoint) -> Redis:
    """A client for short commands. Connects at the first command; safe to use from many tasks at once, which
    wait for each other where they are more than its connections.

    The caller closes it with ``aclose()``.
    """
    return _client(endpoint, REPLY_TIMEOUT_S, MOST_CONNECTIONS)


def connect_blocking(endpoint: RedisEndpoint) -> Redis:
    """A client for commands that block up to ``LONGEST_BLOCK_S``, one at a time; otherwise like
    ``connect``.
    """
    return _client(endpoint, BLOCKING_REPLY_TIMEOUT_S, 1)


@contextmanager
def told_as_unavailable(endpoint: RedisEndpoint) -> Iterator[None]:
    """Turns every error of redis-py into ``RedisUnavailable``."""
    try:
        yield
    except (RedisError, OSError) as error:
        # Such arguments may hold the first part of a long password only, which no replacing would find.
        reason = _QUOTED_ARGUMENTS.sub("", _reason(error, endpoint))
        if endpoint.password:
            reason = reason.replace(endpoint.password, "***")
        raise RedisUnavailable(endpoint.address, reason) from None


def _client(endpoint: RedisEndpoint, reply_timeout: float, connections: int) -> Redis:
    options: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "db": endpoint.db,
        "username": endpoint.username or None,
        "password": endpoint.password or None,
        "client_name": CLIENT_NAME,
        "max_connections": connections,
        "timeout": _TURN_TIMEOUT_S,
        "socket_timeout": reply_timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "decode_responses": True,
        # RESP2: login by AUTH, which every server and proxy knows, and no CLIENT SETINFO, which ACLs often
        # refuse.
        "protocol": 2,
        "driver_info": None,
        # Once more at once when a connection breaks; never after a timeout, which would only double the wait.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
    if endpoint.tls is None:
        pool = BlockingConnectionPool(connection_class=Connection, **options)
    else:
        pool = BlockingConnectionPool(connection_class=TlsConnection, pem=PemContext(endpoint.tls), **options)
    return Redis.from_pool(pool)


def _reason(error: RedisError | OSError, endpoint: RedisEndpoint) -> str:
    text = str(error)
    if isinstance(error, RedisTimeoutError | TimeoutError):
        doubt = ", perhaps because it does not speak TLS" if endpoint.tls and "connecting" in text else ""
        return f"it did not answer in time ({text}){doubt}"
    if isinstance(error, BusyLoadingError):
        return "it is still loading its data"
    if isinstance(error, AuthenticationError) or "NOAUTH" in text:
        return f"it refused the login, so user name or password are wrong ({text})"
    if isinstance(error, NoPermissionError):
        return f"its ACL does not allow what Bullherd needs ({text})"
    if endpoint.tls is None and ("reset by peer" in text or "closed by server" in text):
        return f"it hung up, perhaps because it wants TLS ({text})"
    return text or type(error).__name__
