"""The server's certificate: shared by replicas, renewed without a gap, published only where it is ours. Needs
the cluster.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field

import aiohttp
import pytest
from cryptography import x509

from tests.fixtures.external_metrics import API_SERVICES, ExternalMetricsApi, api_service
from tests.fixtures.kubernetes import Api, ApiRefused, Namespace
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import METRICS, SECRET, Server, StartServer

pytestmark = pytest.mark.cluster

EXTERNAL_METRICS = f"{API_SERVICES}/v1beta1.external.metrics.k8s.io"

LIFETIME_S = 20
"""Of a leaf: renewed after 13 s, authorities after 53 s."""


async def secret_of(namespace: Namespace) -> dict[str, str]:
    """The values of the Secret that the replicas share."""
    body = await namespace.get("Secret", SECRET)
    return {key: base64.b64decode(value).decode() for key, value in (body.get("data") or {}).items()}


async def bundle(api: Api) -> str:
    """Whom the API server trusts."""
    body = await api.request("GET", EXTERNAL_METRICS)
    return base64.b64decode(body["spec"].get("caBundle") or "").decode()


def leaf_in(secret: dict[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(secret["tls.crt"].encode())


async def test_a_server_alone_makes_and_publishes_it(
    namespace: Namespace, external_metrics_api: ExternalMetricsApi, start_server: StartServer
) -> None:
    await external_metrics_api.install(namespace)
    server = await start_server()
    await external_metrics_api.lead_to(namespace, server)
    secret = await secret_of(namespace)
    assert secret.keys() == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert await bundle(namespace.api) == secret["ca.crt"]
    leaf = leaf_in(secret)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName)[0] == f"bullherd-server.{namespace.name}.svc"
    told = await server.metrics("bullherd_server_certificate_expiry_timestamp_seconds")
    assert told[(("certificate", "served"),)] == leaf.not_valid_after_utc.timestamp()
    assert told[(("certificate", "authority"),)] > told[(("certificate", "served"),)]


async def test_replicas_that_start_at_once_agree(
    namespace: Namespace, external_metrics_api: ExternalMetricsApi, start_server: StartServer
) -> None:
    await external_metrics_api.install(namespace)
    servers = await asyncio.gather(*(start_server() for _ in range(3)))
    secret = await secret_of(namespace)
    for server in servers:
        # ask() trusts what is in the Secret alone.
        assert await server.ask("/readyz") == (200, "ok")
    assert await bundle(namespace.api) == secret["ca.crt"]
    assert secret["ca.crt"].count("BEGIN CERTIFICATE") == 1


async def test_a_restarted_server_goes_on_with_what_is_there(
    namespace: Namespace, start_server: StartServer
) -> None:
    server = await start_server()
    before = await secret_of(namespace)
    await server.stop()
    await start_server()
    assert await secret_of(namespace) == before


@pytest.mark.parametrize("lost", ["all", "ca.key", "tls.key", "tls.crt"])
async def test_what_somebody_takes_out_of_the_secret_is_made_up_for(
    namespace: Namespace, start_server: StartServer, lost: str
) -> None:
    server = await start_server()
    before = await secret_of(namespace)
    await namespace.patch("Secret", SECRET, {"data": None if lost == "all" else {lost: None}})
    while (after := await secret_of(namespace)).keys() != before.keys():  # noqa: ASYNC110 - seen by looking
        await asyncio.sleep(0.1)
    if lost == "all":
        assert after == before, "API servers trust what was there"
    else:
        assert before["ca.crt"] in after["ca.crt"], "what was trusted still is"
    assert await server.ask("/readyz") == (200, "ok")


async def test_without_the_secret_it_waits_and_says_so(
    namespace: Namespace, start_server: StartServer
) -> None:
    server = await start_server(ready=False, CERTIFICATE_SECRET="another")
    told = await server.event("certificate_not_kept", secret="another")
    assert "the chart makes it" in told["hint"]
    assert [(await server.http(path))[0] for path in ("/healthz", "/readyz")] == [200, 503]
    await namespace.create({"kind": "Secret", "metadata": {"name": "another"}})
    await server.event("server_started")


async def test_a_strangers_api_service_is_not_touched(
    namespace: Namespace, external_metrics_api: ExternalMetricsApi, start_server: StartServer
) -> None:
    theirs = api_service(namespace.name, "another-adapter")
    made = await namespace.api.request("POST", API_SERVICES, theirs)
    server = await start_server(CERTIFICATE_LIFETIME_SECONDS="10")
    # It looks more than once a second, and has made and renewed its leaf by then.
    await server.event("certificate_served", count=2, limit=20)
    seen = await namespace.api.request("GET", EXTERNAL_METRICS)
    assert seen["spec"] == made["spec"]
    assert server.seen("authorities_published") == []


@dataclass
class Visitors:
    """Ask all the time, each on connections of its own, until they are told to stop."""

    failures: list[str] = field(default_factory=list)
    answers: int = 0
    stopped: bool = False

    async def through_api_server(self, api: Api) -> None:
        while not self.stopped:
            try:
                await api.request("GET", METRICS)
                self.answers += 1
            except ApiRefused as refused:
                self.failures.append(f"{time.time():.3f} API server: {refused.status} {refused}")
            await asyncio.sleep(0.02)

    async def anew_each_time(self, server: Server, api: Api) -> None:
        """New connections, trusting just what the APIService says, as a new API server would."""
        while not self.stopped:
            try:
                assert await server.ask("/readyz", authorities=await bundle(api)) == (200, "ok")
                self.answers += 1
            except (AssertionError, OSError, aiohttp.ClientError) as error:
                self.failures.append(f"{time.time():.3f} {server.name}: {error!r}")
            await asyncio.sleep(0.05)


async def test_leaves_and_authorities_are_renewed_without_a_failed_request(
    namespace: Namespace,
    external_metrics_api: ExternalMetricsApi,
    start_server: StartServer,
    connections: Connections,
    redis_server: RedisServer,
) -> None:
    """Two replicas behind the real API server; several leaves, and two authorities after the first."""
    connections.write("default", redis_server.endpoint)
    await external_metrics_api.install(namespace)
    servers = [await start_server(CERTIFICATE_LIFETIME_SECONDS=str(LIFETIME_S)) for _ in range(2)]
    await external_metrics_api.lead_to(namespace, *servers)
    first = await secret_of(namespace)
    visitors = Visitors()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(visitors.through_api_server(namespace.api))
        for server in servers:
            tasks.create_task(visitors.anew_each_time(server, namespace.api))

        async def end() -> None:
            try:
                # Served by both: the first leaf, some by the first authority, and one by the second at last.
                while not await served_by_another(namespace, first):  # noqa: ASYNC110 - seen by looking
                    await asyncio.sleep(0.5)
                await asyncio.sleep(2 * LIFETIME_S)
            finally:
                visitors.stopped = True

        tasks.create_task(end())
    assert visitors.failures == []
    assert visitors.answers > 1000
    for server in servers:
        assert len(server.seen("certificate_served")) >= 5
    trusted = await bundle(namespace.api)
    assert first["ca.crt"] not in trusted, "what has expired goes"


async def served_by_another(namespace: Namespace, first: dict[str, str]) -> bool:
    """Whether the leaf is no longer one of the first authority's."""
    authority = x509.load_pem_x509_certificate(first["ca.crt"].encode())
    return leaf_in(await secret_of(namespace)).issuer != authority.subject
