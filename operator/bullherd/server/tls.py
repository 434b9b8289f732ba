"""The TLS side of the port: a leaf and a set of client authorities that change while the port stays open.

An ``ssl.SSLContext`` can be given another leaf while it is in use, but authorities can only be added to it,
and a client that resumes a session of it is not checked again. So every change makes a new context, and the
port hands each new connection to the one of the moment. Which authorities a connection was checked against
stands in its context: whoever asks for the peer's name has to compare.
"""

from __future__ import annotations

import ssl
from typing import Any

from bullherd.pem import load_certificate


class UnusableAuthorities(ValueError):  # noqa: N818 - it is the authorities that are unusable
    """Not PEM certificates."""


class ServingContext(ssl.SSLContext):
    """What is served to a connection, and by whom its peer may be certified (none: it is not asked)."""

    client_authorities: str

    def __new__(cls, leaf: str, leaf_key: str, client_authorities: str) -> ServingContext:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.client_authorities = client_authorities
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_certificate(context, leaf, leaf_key)
        if client_authorities:
            _trust(context, client_authorities)
            context.verify_mode = ssl.CERT_OPTIONAL
            # As Go: whatever is listed is trusted, be it signed by somebody else or not.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


class LiveContext(ssl.SSLContext):
    """For the listening port: each connection gets the serving context of the moment."""

    def __new__(cls) -> LiveContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self) -> None:
        self._leaf: tuple[str, str] | None = None
        self._client_authorities = ""
        self._serving: ServingContext | None = None

    @property
    def client_authorities(self) -> str:
        """Who may certify clients from now on."""
        return self._client_authorities

    def serve(self, leaf: str, leaf_key: str) -> None:
        """Another leaf for new connections."""
        if self._leaf != (leaf, leaf_key):
            self._serving = ServingContext(leaf, leaf_key, self._client_authorities)
            self._leaf = leaf, leaf_key

    def trust(self, client_authorities: str) -> None:
        """Other authorities for new connections; raises ``UnusableAuthorities`` and keeps those before."""
        if client_authorities:
            _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), client_authorities)
        self._client_authorities = client_authorities
        if self._leaf is not None:
            self._serving = ServingContext(*self._leaf, client_authorities)

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Called once for each new connection."""
        assert self._serving is not None, "the port opens when there is a leaf"
        return self._serving.wrap_bio(*arguments, **options)


def _trust(context: ssl.SSLContext, authorities: str) -> None:
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as problem:
        raise UnusableAuthorities(f"They are not PEM certificates ({problem}).") from problem
