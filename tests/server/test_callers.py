"""Who is answered: by the front proxy's word or a token, and by what the API server lets them do. Needs the
cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from dev.node.layout import Layout
from dev.paths import this_checkout
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.server import METRICS, ClientCertificate, Server, StartServer, metric_path
from tests.server.authorities import Authority
from tests.server.front_proxy import account, as_user, group, let, publish, published, token_of, user

pytestmark = pytest.mark.cluster

PROXY = "front-proxy-client"
ANN = as_user("ann")


@dataclass
class Caller:
    """Everything that a request may carry."""

    server: Server
    namespace: str
    by: dict[str, ClientCertificate]
    tokens: dict[str, str]

    async def ask(
        self,
        certificate: str | None = None,
        headers: list[tuple[str, str]] = ANN,
        token: str | None = None,
        namespace: str | None = None,
    ) -> tuple[int, Any]:
        path = metric_path(namespace or self.namespace, "bullherd_queue_backlog")
        return await self.server.ask(
            path,
            certificate=self.by[certificate] if certificate else None,
            headers=headers,
            token=self.tokens.get(token, token) if token is not None else None,
        )


@pytest_asyncio.fixture
async def caller(
    namespace: Namespace, start_server: StartServer, authority: Authority, stranger: Authority
) -> Caller:
    """The server, and all sorts of callers: ann and the group shoppers may read, and the account reader."""
    config_map = await publish(namespace, published(authority.pem, PROXY))
    await let(namespace, user("ann"), group("shoppers"), account(namespace, "reader"))
    tokens = {name: await token_of(namespace, name) for name in ("reader", "nobody")}
    server = await start_server(AUTHENTICATION_CONFIG_MAP=config_map)
    by = {
        "proxy": authority.certify(PROXY),
        "other name": authority.certify("somebody"),
        "server's": authority.certify(PROXY, for_servers=True),
        "stranger's": stranger.certify(PROXY),
    }
    return Caller(server, namespace.name, by, tokens)


async def test_the_matrix(caller: Caller) -> None:
    """Row by row, on one server: certificate, headers, token, and the status of the answer."""
    shopper = as_user("bob", "cooks", "shoppers")
    for certificate, headers, token, wanted in [
        # The front proxy is believed.
        ("proxy", ANN, None, 200),
        ("proxy", shopper, None, 200),
        ("proxy", as_user("bob"), None, 403),
        ("proxy", as_user("bob", "cooks"), None, 403),
        ("proxy", [], None, 401),
        ("proxy", [("X-Remote-Group", "shoppers")], None, 401),
        ("proxy", as_user(""), None, 401),
        ("proxy", as_user("system:anonymous"), None, 403),
        # Nobody else is, whatever they say.
        (None, ANN, None, 401),
        (None, [], None, 401),
        ("other name", ANN, None, 401),
        # A token speaks for itself.
        (None, [], "reader", 200),
        (None, [], "nobody", 403),
        (None, [], "no token at all", 401),
        (None, [], "", 401),
        (None, ANN, "nobody", 403),
        ("other name", ANN, "reader", 200),
        ("other name", ANN, "nobody", 403),
        ("proxy", as_user("bob"), "reader", 403),
        ("proxy", [], "reader", 200),
        (None, [("Authorization", "Basic YW5uOmFubg==")], None, 401),
        (None, [("Authorization", "Bearer")], None, 401),
    ]:
        status, body = await caller.ask(certificate, headers, token)
        assert status == wanted, (certificate, headers, token, body)
        assert body["kind"] == ("ExternalMetricValueList" if status == 200 else "Status")
        if status != 200:
            reason = {401: "Unauthorized", 403: "Forbidden"}[status]
            assert (body["code"], body["reason"], body["status"]) == (status, reason, "Failure")


@pytest.mark.parametrize("certificate", ["stranger's", "server's"])
async def test_a_certificate_that_nobody_vouches_for_ends_the_connection(
    caller: Caller, certificate: str
) -> None:
    with pytest.raises(aiohttp.ClientError):
        await caller.ask(certificate)
    assert (await caller.ask("proxy"))[0] == 200


async def test_rights_are_of_one_namespace(caller: Caller) -> None:
    status, body = await caller.ask("proxy", namespace="kube-system")
    assert status == 403
    assert body["message"].startswith(
        'User "ann" cannot list resource "bullherd_queue_backlog" in API group "external.metrics.k8s.io" '
        'in the namespace "kube-system"'
    )


async def test_discovery_is_for_those_who_have_logged_in(caller: Caller) -> None:
    server, proxy = caller.server, caller.by["proxy"]
    for path in ("/apis", "/apis/external.metrics.k8s.io", METRICS, "/version"):
        assert (await server.ask(path))[0] == 401
        assert (await server.ask(path, certificate=proxy, headers=as_user("bob")))[0] == 200
        assert (await server.ask(path, token=caller.tokens["nobody"]))[0] == 200
        assert (await server.ask(path, certificate=proxy, headers=as_user("system:anonymous")))[0] == 403


async def test_only_the_signs_of_life_need_no_login(caller: Caller) -> None:
    server = caller.server
    for path in ("/healthz", "/livez", "/readyz"):
        assert await server.ask(path) == (200, "ok")
    for path in ("/", "/metrics", "/healthz/x", "/openapi/v2", "/api", "/apis/x", "//healthz", "/%68ealthz/"):
        assert (await server.ask(path))[0] == 401


async def test_the_clusters_own_front_proxy(
    cluster: Any, namespace: Namespace, start_server: StartServer
) -> None:
    """As the API server itself would: with its certificate, known from kube-system."""
    if cluster.kind != "local":
        pytest.skip("only the local node's keys lie here")
    pki = Layout(this_checkout()).pki
    await let(namespace, user("ann"))
    server = await start_server()
    path = metric_path(namespace.name, "bullherd_queue_backlog")

    def pair(name: str) -> ClientCertificate:
        return ClientCertificate(pki / f"{name}.crt", pki / f"{name}.key")

    status, body = await server.ask(path, certificate=pair("front-proxy-client"), headers=ANN)
    assert (status, body["kind"]) == (200, "ExternalMetricValueList")
    assert (await server.ask(path, certificate=pair("front-proxy-client"), headers=as_user("bob")))[0] == 403
    # The cluster's own authority certifies users to the API server, not to us.
    with pytest.raises(aiohttp.ClientError):
        await server.ask(path, certificate=pair("admin"), headers=ANN)
