"""A way to the API server that a test can cut: plain TCP, the TLS inside it stays between the two ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


class ApiProxy:
    """Listens on loopback; ``kubeconfig`` leads through it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        self._cluster = self._config["clusters"][0]["cluster"]
        self._target = urlsplit(self._cluster["server"])
        self.kubeconfig = folder / "proxied.kubeconfig"
        self._open = True
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def start(self) -> None:
        """Listen, and write the kubeconfig."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._cluster["server"] = f"https://127.0.0.1:{port}"
        # The API server's certificate need not name loopback.
        self._cluster.pop("certificate-authority-data", None)
        self._cluster["insecure-skip-tls-verify"] = True
        self.kubeconfig.write_text(json.dumps(self._config))

    def cut(self) -> None:
        """Break every connection and refuse new ones, as when the node is off the network."""
        self._open = False
        for link in self._links:
            link.cancel()

    def mend(self) -> None:
        """Let connections through again."""
        self._open = True

    async def close(self) -> None:
        """End it."""
        self.cut()
        self._server.close()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            if self._open:
                await self._connect(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the one by cut(), the other by either end
        finally:
            self._links.discard(link)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, their_writer))
                both.create_task(_pump(their_reader, writer))
        except* ConnectionError:
            pass
        finally:
            their_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
