"""What a measurement needs: a namespace of its own in the cluster of `make cluster`, a Redis, the web app's
bullmq, and the real operator as a process.

The same pieces as in the tests (tests/fixtures), put together without pytest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.paths import this_checkout
from tests.fixtures.external_metrics import (
    ExternalMetricsApi,
    address_for_api_server,
    the_only_api_service,
)
from tests.fixtures.kubernetes import Namespace, apply_crds, kubectl, open_namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, Operators, no_operator_that_watches_all
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import SERVICE, Server, Servers


@dataclass(frozen=True)
class Stage:
    """All of it; ``operator`` leads, and its connection "default" is ``redis``. ``server`` serves the
    namespace's external metrics, if they are wanted.
    """

    namespace: Namespace
    redis: RedisServer
    node: BullmqNode
    operators: Operators
    operator: Operator
    server: Server | None

    @property
    def kubernetes_version(self) -> str:
        """The API server's."""
        told = json.loads(kubectl(this_checkout().kubeconfig, "version", "-o", "json"))
        return str(told["serverVersion"]["gitVersion"])

    async def scale(self, name: str, replicas: int) -> None:
        """Set a Deployment's replicas by one server-side apply, as the operator does."""
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": replicas}}
        body["metadata"] = {"name": name, "namespace": self.namespace.name}
        path = f"/apis/apps/v1/namespaces/{self.namespace.name}/deployments/{name}"
        apply = "application/apply-patch+yaml"
        await self.namespace.api.request("PATCH", path, body, apply, fieldManager="bench", force="true")

    def pods_of(self, deployment: str) -> list[str]:
        """The names of its pods, as far as the watch has told."""
        names = [pod["metadata"]["name"] for pod in self.namespace.all("Pod")]
        return [name for name in names if name.startswith(f"{deployment}-")]


@asynccontextmanager
async def stage(*, external_metrics: bool = False, for_pods: bool = False) -> AsyncIterator[Stage]:
    """Set it up, and take it down at the end. HPAs work only with external metrics, which one server has in a
    cluster. ``for_pods``: the cluster's node reaches the Redis, too, at the address by which it knows us.
    """
    checkout = this_checkout()
    if not checkout.kubeconfig.exists():
        sys.exit("There is no cluster: `make cluster` first.")
    os.environ["PATH"] = f"{checkout.bin}{os.pathsep}{os.environ['PATH']}"
    apply_crds(checkout.kubeconfig)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bullherd-bench-")))
        stack.enter_context(no_operator_that_watches_all(checkout.kubeconfig))
        host = address_for_api_server(checkout.kubeconfig) if for_pods else "127.0.0.1"
        everywhere = ("--bind", "127.0.0.1", host, "--protected-mode", "no") if for_pods else ()
        redis = RedisServer(folder, options=everywhere)
        redis.start()
        stack.push_async_callback(redis.close)
        node = BullmqNode("v6", redis.environment)
        await node.start()
        stack.push_async_callback(node.close)
        namespace = await stack.enter_async_context(open_namespace(checkout.kubeconfig, "bullherd-bench"))
        connections = Connections(folder / "connections")
        connections.write("default", dataclasses.replace(redis.endpoint, host=host))
        operators = Operators(checkout.kubeconfig, namespace, connections, folder)
        stack.push_async_callback(operators.close)
        if not external_metrics:
            yield Stage(namespace, redis, node, operators, await operators.start(), None)
            return
        stack.enter_context(the_only_api_service(checkout.kubeconfig))
        servers = Servers(checkout.kubeconfig, namespace, connections, folder)
        stack.push_async_callback(servers.close)
        api = ExternalMetricsApi(checkout.kubeconfig)
        stack.callback(api.remove)
        await api.install(namespace)
        server = await servers.start()
        await api.lead_to(namespace, server)
        operator = await operators.start(METRICS_SERVICE=SERVICE)
        yield Stage(namespace, redis, node, operators, operator, server)
