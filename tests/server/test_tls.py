"""Leaf and trust change while the port stays open: what becomes of connections. Needs loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from bullherd.server.issuing import issue_authority, issue_leaf
from bullherd.server.port import TlsPort
from bullherd.server.tls import LiveContext, ServingContext, UnusableAuthorities
from tests.fixtures.server import ClientCertificate
from tests.server.authorities import Authority

HOST = "server.herd.svc"


class Port:
    """A port whose answers are the peer's common name; ``/hold`` waits for ``released``."""

    def __init__(self) -> None:
        self.live = LiveContext()
        self.released = asyncio.Event()
        self.held = asyncio.Event()
        self.tls = TlsPort("127.0.0.1", 0, self.live, self._answer)
        self.authority, self._key = issue_authority("test", time.time(), 3600)

    def new_leaf(self) -> str:
        """Serve another one; its PEM."""
        leaf, key = issue_leaf(self.authority, self._key, [HOST], time.time(), 3600)
        self.live.serve(leaf, key)
        return leaf

    def context(self, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
        """For a client that checks the leaf."""
        context = ssl.create_default_context(cadata=self.authority.pem)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context

    def session(self, certificate: ClientCertificate | None = None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.context(certificate), limit=1)
        return aiohttp.ClientSession(f"https://127.0.0.1:{self.tls.number}", connector=connector)

    async def ask(self, certificate: ClientCertificate | None = None) -> str:
        """The answer on a connection of its own."""
        async with self.session(certificate) as session:
            return await on(session)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/hold":
            self.held.set()
            await self.released.wait()
        peer = request.get_extra_info("peercert") or {}
        names = [value for parts in peer.get("subject", ()) for key, value in parts if key == "commonName"]
        return web.Response(text=" ".join(names) or "nobody")


async def on(session: aiohttp.ClientSession, path: str = "/") -> str:
    """The answer on a session's connection."""
    async with session.get(path, server_hostname=HOST) as response:
        return await response.text()


@pytest_asyncio.fixture
async def port() -> AsyncIterator[Port]:
    port = Port()
    port.new_leaf()
    async with port.tls:
        yield port


@pytest.fixture
def old(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "new")


REFUSED = (aiohttp.ClientError, ssl.SSLError, ConnectionError)


async def test_peers_are_those_that_an_authority_certifies(
    port: Port, old: Authority, new: Authority
) -> None:
    port.live.trust(old.pem)
    assert await port.ask(old.certify("proxy")) == "proxy"
    assert await port.ask() == "nobody"
    for stranger in (new.certify("proxy"), old.certify("proxy", for_servers=True)):
        with pytest.raises(REFUSED):
            await port.ask(stranger)


async def test_where_nobody_is_trusted_no_certificate_is_asked_for(port: Port, old: Authority) -> None:
    assert await port.ask(old.certify("proxy")) == "nobody"


async def test_an_authority_that_is_taken_back_certifies_no_more(
    port: Port, old: Authority, new: Authority
) -> None:
    port.live.trust(old.pem)
    by_old, by_new = old.certify("proxy"), new.certify("proxy")
    assert await port.ask(by_old) == "proxy"
    port.live.trust(old.pem + new.pem)
    assert [await port.ask(by_old), await port.ask(by_new)] == ["proxy", "proxy"]
    port.live.trust(new.pem)
    assert await port.ask(by_new) == "proxy"
    with pytest.raises(REFUSED):
        await port.ask(by_old)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_is_resumed_over_a_change_of_trust(
    port: Port, old: Authority, new: Authority, version: ssl.TLSVersion
) -> None:
    port.live.trust(old.pem)
    context = port.context(old.certify("proxy"))
    context.minimum_version = context.maximum_version = version

    def visit(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None, str]:
        with (
            socket.create_connection(("127.0.0.1", port.tls.number), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOST, session=session) as secured,
        ):
            secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: secured.recv(4096), b""))
            return secured.session, secured.session_reused, answer.decode().rpartition("\n")[2]

    session, _, answer = await asyncio.to_thread(visit, None)
    assert answer == "proxy"
    _, reused, answer = await asyncio.to_thread(visit, session)
    assert (reused, answer) == (True, "proxy"), "else this test says nothing"
    port.live.trust(new.pem)
    answer = ""
    # With TLS 1.3 a client hears of a refusal only after the handshake, or just that the connection ends.
    with suppress(ssl.SSLError, ConnectionError):
        *_, answer = await asyncio.to_thread(visit, session)
    assert answer == ""


async def test_idle_connections_end_and_others_after_their_answer(
    port: Port, old: Authority, new: Authority
) -> None:
    port.live.trust(old.pem)
    by_old = old.certify("proxy")
    async with port.session(by_old) as idle, port.session(by_old) as busy:
        assert await on(idle) == "proxy"
        held = asyncio.create_task(on(busy, "/hold"))
        await port.held.wait()

        port.live.trust(new.pem)
        assert await on(idle) == "proxy", "a connection stays what it was until it is ended"
        port.tls.end_connections()
        with pytest.raises(REFUSED):
            await on(idle)

        port.released.set()
        assert await held == "proxy"
        with pytest.raises(REFUSED):
            await on(busy)


async def test_connections_outlive_a_change_of_the_leaf(port: Port) -> None:
    async with port.session() as before:
        assert await on(before) == "nobody"
        leaf = port.new_leaf()
        assert await on(before) == "nobody"
    shown = await asyncio.to_thread(shown_leaf, port)
    assert shown == ssl.PEM_cert_to_DER_cert(leaf)


def shown_leaf(port: Port) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port.tls.number), timeout=10) as plain,
        port.context().wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        return secured.getpeercert(binary_form=True)


async def test_what_is_no_certificate_changes_nothing(port: Port, old: Authority) -> None:
    port.live.trust(old.pem)
    with pytest.raises(UnusableAuthorities):
        port.live.trust("-----BEGIN CERTIFICATE-----\nspoilt\n-----END CERTIFICATE-----\n")
    assert port.live.client_authorities == old.pem
    assert await port.ask(old.certify("proxy")) == "proxy"


async def test_a_connection_tells_by_whom_its_peer_was_certified(port: Port, old: Authority) -> None:
    told: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        context = request.get_extra_info("ssl_object").context
        assert isinstance(context, ServingContext)
        told.append(context.client_authorities)
        return web.Response()

    port.live.trust(old.pem)
    async with TlsPort("127.0.0.1", 0, port.live, answer) as tls:
        url = f"https://127.0.0.1:{tls.number}"
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=port.context())) as session:
            await on(session)
            port.live.trust("")
            await on(session)
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=port.context())) as session:
            await on(session)
    assert told == [old.pem, old.pem, ""]
