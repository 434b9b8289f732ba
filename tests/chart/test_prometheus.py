"""A real Prometheus on a real operator and server: every panel gets an answer, every alert is evaluated.

Needs the cluster, redis-server, and the Debian package prometheus.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.prometheus import Prometheus
from tests.chart.test_alerts import FILE
from tests.chart.test_dashboard import PANELS
from tests.cluster.queuejobs import queuejob, ready, replicas
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.operator import Connections, StartOperator
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis]


def filled(query: str, namespace: str) -> str:
    """As Grafana asks it, for the QueueJob "orders"."""
    values = {"$__rate_interval": "1m", "$namespace": namespace, "$queuejob": "orders"}
    for name, value in values.items():
        query = query.replace(name, value)
    return query


async def test_every_panel_gets_an_answer(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    connections.write("default", redis_server.endpoint)
    operator = await start_operator(STALLED_CHECK_SECONDS="1", MAX_TOTAL_REPLICAS="1")
    async with Prometheus(tmp_path, {"bullherd-operator": operator.port}, FILE) as prometheus:
        await namespace.create(queuejob("orders"))
        await ready(namespace, "orders")
        await redis_server.client().lpush("bull:orders:wait", "1", "2", "3")
        await replicas(namespace, "orders", 1)
        for panel in PANELS:
            for target in panel["targets"]:
                print(panel["title"], await prometheus.until(filled(target["expr"], namespace.name)))
