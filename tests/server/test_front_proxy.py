"""The front proxy's authority, names and certificate change: what that means for callers, also on connections
that stay. Needs the cluster.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from tests.fixtures.api_proxy import ApiProxy
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.server import Server, StartServer, metric_path
from tests.server.authorities import Authority
from tests.server.front_proxy import as_user, let, publish, published, user

pytestmark = pytest.mark.cluster

PROXY = "front-proxy-client"
LIMIT_S = 10.0
"""For a change to be noticed: the server looks every 5 s."""


@pytest_asyncio.fixture
async def server(namespace: Namespace, start_server: StartServer, authority: Authority) -> Server:
    await let(namespace, user("ann"))
    config_map = await publish(namespace, published(authority.pem, PROXY))
    return await start_server(AUTHENTICATION_CONFIG_MAP=config_map)


class Line:
    """Connections that stay, one request at a time."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._path = metric_path(server.namespace, "bullherd_queue_backlog")

    async def ask(self) -> int:
        """The status of an answer; 0 when the connection is refused."""
        try:
            return (await self._server.ask_on(self._session, self._path, headers=as_user("ann")))[0]
        except aiohttp.ClientError:
            return 0

    async def until(self, status: int) -> None:
        """Ask until the answer is this one."""
        until = time.monotonic() + LIMIT_S
        while (seen := await self.ask()) != status:
            assert time.monotonic() < until, f"still {seen}"
            await asyncio.sleep(0.05)


async def test_authorities_follow_each_other(
    server: Server, namespace: Namespace, authority: Authority, stranger: Authority
) -> None:
    """As when a cluster renews its front proxy: both for a while, then only the new one."""
    async with (
        await server.session(authority.certify(PROXY)) as one,
        await server.session(stranger.certify(PROXY)) as another,
    ):
        by_old, by_new = Line(server, one), Line(server, another)
        assert [await by_old.ask(), await by_new.ask()] == [200, 0]

        await publish(namespace, published(authority.pem + stranger.pem, PROXY))
        await by_new.until(200)
        assert await by_old.ask() == 200

        await publish(namespace, published(stranger.pem, PROXY))
        await by_old.until(0)
        assert await by_new.ask() == 200


async def test_a_connection_that_is_busy_all_the_time_is_no_way_around(
    server: Server, namespace: Namespace, authority: Authority, stranger: Authority
) -> None:
    async with await server.session(authority.certify(PROXY)) as session:
        by_old = Line(server, session)
        await publish(namespace, published(stranger.pem, PROXY))
        known = asyncio.create_task(server.event("front_proxy_known", count=2))
        while not known.done():
            assert await by_old.ask() in (200, 0)
        assert await by_old.ask() == 0


async def test_names_follow(server: Server, namespace: Namespace, authority: Authority) -> None:
    async with (
        await server.session(authority.certify(PROXY)) as one,
        await server.session(authority.certify("another")) as two,
    ):
        proxy, another = Line(server, one), Line(server, two)
        assert [await proxy.ask(), await another.ask()] == [200, 401]
        await publish(namespace, published(authority.pem, "another"))
        await another.until(200)
        assert await proxy.ask() == 401
        await publish(namespace, published(authority.pem))
        await proxy.until(200)
        assert await another.ask() == 200


async def test_an_expired_certificate_ends_its_use_on_a_connection_that_stays(
    server: Server, authority: Authority
) -> None:
    short = authority.certify(PROXY, good_for=timedelta(seconds=4))
    async with await server.session(short) as session:
        by_short = Line(server, session)
        assert await by_short.ask() == 200
        await by_short.until(401)
    async with await server.session(short) as session:
        assert await Line(server, session).ask() == 0, "nor does a new connection help"


@pytest.mark.parametrize(
    ("spoilt", "event"),
    [
        ({"requestheader-client-ca-file": "spoilt"}, "front_proxy_not_understood"),
        ({"requestheader-allowed-names": "spoilt"}, "front_proxy_not_understood"),
        (None, "front_proxy_not_known"),
    ],
    ids=["no certificates", "no list of names", "none at all"],
)
async def test_what_cannot_be_understood_changes_nothing(
    server: Server,
    namespace: Namespace,
    authority: Authority,
    spoilt: dict[str, str] | None,
    event: str,
) -> None:
    async with await server.session(authority.certify(PROXY)) as session:
        proxy = Line(server, session)
        if spoilt is None:
            path = f"/api/v1/namespaces/{namespace.name}/configmaps/front-proxy"
            await namespace.api.request("DELETE", path)
        else:
            await publish(namespace, published(authority.pem, PROXY) | spoilt)
        await server.event(event)
        assert await proxy.ask() == 200


async def test_without_the_api_server_nobody_is_let_in(
    namespace: Namespace, start_server: StartServer, authority: Authority, api_proxy: ApiProxy
) -> None:
    """Answers of the API server are kept for 10 s; what it was not asked yet is not guessed."""
    await let(namespace, user("ann"))
    config_map = await publish(namespace, published(authority.pem, PROXY))
    server = await start_server(AUTHENTICATION_CONFIG_MAP=config_map, kubeconfig=api_proxy.kubeconfig)
    async with await server.session(authority.certify(PROXY)) as session:
        proxy = Line(server, session)
        assert await proxy.ask() == 200
        api_proxy.cut()
        path = metric_path(namespace.name, "bullherd_queue_waiting")
        status, body = await server.ask_on(session, path, headers=as_user("ann"))
        assert (status, body["reason"]) == (503, "ServiceUnavailable")
        assert "The API server cannot say who may ask" in body["message"]
        assert (await server.ask_on(session, path, token="any"))[0] == 503
        assert (await server.ask_on(session, path))[0] == 401
        api_proxy.mend()
        assert (await server.ask_on(session, path, headers=as_user("ann")))[0] == 200
