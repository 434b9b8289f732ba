"""TLS to Redis from PEM texts, which is how Secrets hold them.

redis-py takes a client certificate as file names only, and with a CA of one's own it trusts the system's,
too. So the ``ssl.SSLContext`` is made here, trusting either the given CA or the system's. It is made at the
first connect, once per client, not once per connection: reading the system's CAs takes 10 ms.
"""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio.connection import RedisSSLContext, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from bullherd.core.redis_endpoint import TlsOptions
from bullherd.pem import load_certificate


class TlsConnection(SSLConnection):
    """redis-py's TLS connection with the context of ``PemContext``."""

    def __init__(self, *, pem: PemContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = pem


class PemContext(RedisSSLContext):
    """The ``ssl.SSLContext`` of one endpoint, made when first asked for.

    Raises redis-py's ConnectionError, naming the wrong text, when one is not what it should be.
    """

    __slots__ = ("_tls",)

    def __init__(self, tls: TlsOptions) -> None:
        super().__init__(cert_reqs=ssl.CERT_REQUIRED, check_hostname=True)
        self._tls = tls

    def get(self) -> ssl.SSLContext:
        """The context, the same one every time."""
        if self.context is None:
            self.context = _context(self._tls)
        return self.context


def _context(tls: TlsOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError) as problem:
        raise RedisConnectionError(f"the CA is not a PEM certificate ({problem})") from problem
    if tls.certificate is None and tls.private_key is None:
        return context
    try:
        load_certificate(context, tls.certificate or "", tls.private_key or "")
    except ssl.SSLError as problem:
        raise RedisConnectionError(
            f"the client certificate and its private key are not a pair of PEM texts ({problem})"
        ) from problem
    return context
