"""A real Prometheus on a real operator and server, which have the rights that the chart gives: every panel of
the dashboard gets an answer, and every alert is evaluated.

Needs the cluster, redis-server, Node with bullmq, and the Debian package prometheus.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.chart.prometheus import Prometheus
from tests.chart.release import Release, Values
from tests.chart.test_alerts import ALERTS, FILE
from tests.chart.test_dashboard import BOARD, PANELS
from tests.cluster.queuejobs import queuejob, ready, replicas
from tests.fixtures.kubernetes import Api, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import Server, StartServer, metric_path

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


@pytest_asyncio.fixture
async def namespace(cluster: Any, crds: None, release: Release, no_pods: Values) -> AsyncIterator[Namespace]:
    """The release's, watched: its ServiceAccounts are there, its pods are processes of the test."""
    release.install(no_pods, {"watchNamespaces": [release.namespace]})
    api = await Api.connect(cluster.kubeconfig)
    watched = Namespace(api, release.namespace)
    watched.watch()
    yield watched
    await watched.unwatch()
    await api.close()


@pytest_asyncio.fixture
async def operator(
    release: Release,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    tmp_path: Path,
) -> Operator:
    """With the chart's rights, a budget, and no patience with dead workers."""
    connections.write("default", redis_server.endpoint)
    kubeconfig = release.kubeconfig_of("bullherd-operator", tmp_path)
    return await start_operator(
        kubeconfig=kubeconfig,
        STALLED_CHECK_SECONDS="1",
        MAX_TOTAL_REPLICAS="1",
        METRICS_SERVICE="bullherd-server",
    )


@pytest_asyncio.fixture
async def server(release: Release, operator: Operator, start_server: StartServer, tmp_path: Path) -> Server:
    """With the chart's rights and the same connections."""
    return await start_server(kubeconfig=release.kubeconfig_of("bullherd-server", tmp_path))


async def test_every_panel_gets_an_answer(
    namespace: Namespace,
    release: Release,
    operator: Operator,
    server: Server,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    tmp_path: Path,
) -> None:
    ports = {"bullherd-operator": operator.port, "bullherd-server": server.port}
    async with Prometheus(tmp_path, ports, FILE) as prometheus:
        await namespace.create(queuejob("orders"))
        await ready(namespace, "orders")
        await bullmq_node_6.queue("orders").add_bulk(range(3))
        await replicas(namespace, "orders", 1)
        await a_worker_dies(redis_server)
        token = somebody(release)
        await ask(server, token)
        await redis_is_away(prometheus, redis_server)
        await ask(server, token)
        await a_right_is_missing(namespace, release)

        answers = (prometheus.until(filled(query, namespace.name)) for _, query in QUERIES)
        found = await asyncio.gather(*answers, return_exceptions=True)
        unanswered = [
            f"{title}: {answer}"
            for (title, _), answer in zip(QUERIES, found, strict=True)
            if isinstance(answer, BaseException)
        ]
        assert not unanswered, "\n".join(unanswered)
        for variable, expected in (("namespace", namespace.name), ("queuejob", "orders")):
            (choice,) = (one for one in BOARD["templating"]["list"] if one["name"] == variable)
            metric = choice["query"].removeprefix("label_values(").rpartition(",")[0]
            assert expected in await prometheus.label_values(variable, filled(metric, namespace.name))
        rules = await prometheus.evaluated_rules()
        assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(ALERTS, "ok")
    assert not operator.seen("queuejobs_not_listed")
    assert not server.seen("queuejobs_not_listed")


def filled(query: str, namespace: str) -> str:
    """As Grafana asks it, for the QueueJob "orders"."""
    values = {"$__rate_interval": "1m", "$namespace": namespace, "$queuejob": "orders"}
    for name, value in values.items():
        query = query.replace(name, value)
    return query


async def a_worker_dies(redis: RedisServer) -> None:
    """An item is active and nobody holds its lock; the stalled check takes it back."""
    await redis.client().lmove("bull:orders:wait", "bull:orders:active", "RIGHT", "LEFT")


def somebody(release: Release) -> str:
    """The token of a ServiceAccount that may ask for metrics."""
    account = {"name": "asking", "namespace": release.namespace}
    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": ["*"], "verbs": ["list"]}
    objects = (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": account, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": account,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "asking"},
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
    )
    release.cluster.kubectl("create", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    return release.cluster.kubectl("-n", release.namespace, "create", "token", "asking").strip()


async def ask(server: Server, token: str) -> None:
    """As an HPA would, but not through the API server."""
    path = metric_path(server.namespace, "bullherd_queue_backlog", "queuejob=orders")
    status, body = await server.ask(path, token=token)
    assert (status, len(body["items"])) == (200, 1)


async def redis_is_away(prometheus: Prometheus, redis: RedisServer) -> None:
    """For as long as it takes to be seen."""
    redis.stop()
    await prometheus.until("bullherd_redis_read_errors_total > 0")
    redis.start()


async def a_right_is_missing(namespace: Namespace, release: Release) -> None:
    """What the operator then cannot do is a failed reconcile."""
    release.cluster.kubectl("-n", release.namespace, "delete", "rolebinding", "bullherd-operator")
    await namespace.patch("QueueJob", "orders", {"spec": {"concurrency": 2}})
