"""Whatever comes in at a port harms nothing. Needs the cluster."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import pytest_asyncio

from tests.fixtures.kubernetes import Namespace
from tests.fixtures.server import Server, StartServer
from tests.server.asking import Reader

pytestmark = pytest.mark.cluster

HELLO = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT_S = 15.0

GARBAGE = {
    "nothing at all": b"",
    "zeros": bytes(4096),
    "every byte": bytes(range(256)) * 64,
    "a line without an end": b"GET /" + b"a" * 2_000_000,
    "a header without an end": b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000,
    "headers without an end": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000,
    "no such version": b"GET / HTTP/7.0\r\n\r\n",
    "no such method": b"\xff\xfe / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length that is none": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a chunk that is none": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "a target that is none": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is no text": b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a query that is no text": b"GET /apis?labelSelector=%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a token that is no text": b"GET /apis HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "a user that is no text": b"GET /apis HTTP/1.1\r\nHost: x\r\nX-Remote-User: \xff\xfe\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100f1010000ed0303") + bytes(200),
    "an upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest_asyncio.fixture
async def server(start_server: StartServer) -> Server:
    return await start_server()


async def say(port: int, said: bytes, context: ssl.SSLContext | None) -> bytes:
    """Say it, and hear until the other side has had enough, or for a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    heard = b""
    try:
        writer.write(said)
        async with asyncio.timeout(0.5):
            await writer.drain()
            heard = await reader.read()
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    return heard


def careless() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_what_no_client_would_say(namespace: Namespace, server: Server) -> None:
    reader = await Reader.of(namespace)
    ports = {
        "TLS": (server.https_port, careless()),
        "plain on the TLS port": (server.https_port, None),
        "telemetry": (server.port, None),
    }
    for place, (port, context) in ports.items():
        for name, said in GARBAGE.items():
            heard = await asyncio.wait_for(say(port, said, context), LIMIT_S)
            assert not heard.startswith(b"HTTP/1.1 5"), (place, name, heard)
            assert not heard.startswith(b"HTTP/1.1 2"), (place, name, heard)
            assert await reader.values(server) == {}, (place, name)
    assert (await server.http("/healthz"))[0] == 200
    assert server.seen("request_failed") == []


async def test_those_who_connect_and_say_nothing_keep_nobody_out(
    namespace: Namespace, server: Server
) -> None:
    reader = await Reader.of(namespace)
    idle = [await asyncio.open_connection("127.0.0.1", server.https_port) for _ in range(300)]
    assert await reader.values(server) == {}
    for _, writer in idle:
        writer.transport.abort()
    assert await reader.values(server) == {}


async def test_long_selectors_and_many_groups_are_no_strangers(namespace: Namespace, server: Server) -> None:
    reader = await Reader.of(namespace)
    names = ",".join(f"queuejob-number-{number}" for number in range(2000))
    assert await reader.values(server, f"queuejob in ({names})") == {}
    groups = [("X-Remote-Group", f"group-{number}") for number in range(2000)]
    assert (await server.ask("/apis", headers=groups))[0] == 401
