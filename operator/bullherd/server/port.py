"""The port of the aggregated API: TLS and HTTP, and connections that end when their trust does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bullherd.server.tls import LiveContext

_HANDSHAKE_LIMIT = 10.0
"""Seconds that a client may take for it."""

_LONGEST_LINE = 256 * 1024
"""Bytes of the request line, where selectors are, and of a header; Kubernetes' own servers take a megabyte of
both.
"""

_MOST_HEADERS = 4096
"""Each group of a user comes in a header of its own."""

_LAST_ANSWERS = 5.0
"""Seconds for requests that are under way at the end."""


class TlsPort:
    """Open as long as the context lasts."""

    def __init__(
        self,
        host: str,
        port: int,
        live: LiveContext,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> None:
        self._host = host
        self._port = port
        self._live = live
        self._answer = answer
        self._busy: set[RequestHandler] = set()
        self._server = web.Server(
            self._handle,
            access_log=None,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )
        self._listener: asyncio.Server

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.get_running_loop().create_server(
            self._server,
            self._host,
            self._port,
            ssl=self._live,
            ssl_handshake_timeout=_HANDSHAKE_LIMIT,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(_LAST_ANSWERS)

    @property
    def number(self) -> int:
        """The port's number, which the kernel chose if it was to be 0."""
        number: int = self._listener.sockets[0].getsockname()[1]
        return number

    def end_connections(self) -> None:
        """End idle ones, and the others after their answer: whoever comes back is checked anew."""
        for connection in self._server.connections:
            if connection in self._busy:
                connection.close()
            else:
                connection.force_close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            return await self._answer(request)
        finally:
            self._busy.discard(request.protocol)
