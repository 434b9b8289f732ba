"""TLS to Redis from the PEM files that the pod has.

With a CA of one's own redis-py would trust the system's, too, so the ``ssl.SSLContext`` is made here: it
trusts one or the other. Each new connection reads the files again, so a certificate that was renewed in its
Secret is used from the next reconnect on.
"""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio.connection import RedisSSLContext, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from bullherd_worker.settings import RedisSettings


class TlsConnection(SSLConnection):
    """redis-py's TLS connection with the context of ``PemFiles``."""

    def __init__(self, *, files: PemFiles, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = files


class PemFiles(RedisSSLContext):
    """The ``ssl.SSLContext`` of one connection. A file that is not what it should be is redis-py's
    ConnectionError, with its name.
    """

    __slots__ = ("_settings",)

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(cert_reqs=ssl.CERT_REQUIRED, check_hostname=True)
        self._settings = settings

    def get(self) -> ssl.SSLContext:
        """The context, the same one every time."""
        if self.context is None:
            self.context = _context(self._settings)
        return self.context


def _context(settings: RedisSettings) -> ssl.SSLContext:
    ca, certificate, key = settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as problem:
        raise RedisConnectionError(f"The CA file {ca} cannot be used: {problem}") from problem
    if certificate is None:
        return context
    try:
        # The empty password is for an encrypted key: without it OpenSSL would ask on the terminal, and wait.
        context.load_cert_chain(certificate, key, password="")
    except OSError as problem:
        raise RedisConnectionError(
            f"The client certificate {certificate} and the key {key or 'in it'} cannot be used: {problem}"
        ) from problem
    return context
