"""What the operator shows of itself: logs, metrics, health; and that a hundred QueueJobs are no burden.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest

from tests.cluster.queuejobs import condition, queuejob, ready, replicas, steps
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

SERIES = {
    "bullherd_queue_items",
    "bullherd_queue_backlog",
    "bullherd_queue_oldest_item_age_seconds",
    "bullherd_desired_replicas",
    "bullherd_ready_replicas",
    "bullherd_replicas_denied",
    "bullherd_unschedulable_pods",
    "bullherd_queuejob_paused",
    "bullherd_scalings_total",
    "bullherd_scalings_created",
}


async def test_the_log_tells_the_story_in_events(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await replicas(namespace, "orders", 2)
    await operator.event("scaled")
    assert await operator.stop() == 0

    lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    for line in lines:
        assert {"event", "level", "logger", "timestamp"} <= line.keys()
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert [line["event"] for line in lines] == [
        "standing_by",
        "leadership_acquired",
        "connections_read",
        "external_metrics_seen",
        "operator_started",
        "queue_discovered",
        "scaled",
        "operator_stopped",
    ]
    discovered = operator.seen("queue_discovered")[0]
    assert discovered["queue"] == "orders"
    assert discovered["queuejob"] == f"{namespace.name}/orders"
    scaled = operator.seen("scaled")[0]
    assert (scaled["namespace"], scaled["queuejob"]) == (namespace.name, "orders")


async def test_metrics_come_and_go_with_the_queuejob(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    for name in ("orders", "mails"):
        await namespace.create(queuejob(name))
    await replicas(namespace, "orders", 2)
    await operator.metric("bullherd_queue_backlog", lambda n: n == 2, queuejob="orders")
    await operator.metric("bullherd_queue_items", lambda n: n == 2, state="waiting", queuejob="orders")
    await operator.metric("bullherd_desired_replicas", lambda n: n == 2, queuejob="orders")
    await operator.metric("bullherd_scalings_total", lambda n: n == 1, direction="up", queuejob="orders")
    await operator.metric("bullherd_leader", lambda n: n == 1)
    await operator.metric("bullherd_redis_read_seconds_count", lambda n: n > 1)
    await operator.metric("bullherd_reconcile_seconds_count", lambda n: n > 1)
    assert await operator.series(queuejob="orders") == SERIES
    await ready(namespace, "mails")

    await namespace.delete("QueueJob", "orders")
    await namespace.gone("Deployment", "orders")

    await operator.without_series(queuejob="orders")
    assert "bullherd_queue_backlog" in await operator.series(queuejob="mails")


async def test_healthy_and_ready(operator: Operator) -> None:
    assert await operator.http("/healthz") == (200, '{"failures": []}')
    assert await operator.http("/readyz") == (200, '{"ready": true, "failures": []}')


async def test_a_hundred_queuejobs_at_once(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    names = [f"queue-{number:03}" for number in range(100)]

    def is_ready(name: str) -> bool:
        return condition(namespace.current("QueueJob", name) or {}).get("status") == "True"

    await asyncio.gather(*(namespace.create(queuejob(name)) for name in names))
    await namespace.when(lambda: all(map(is_ready, names)), limit=60)

    await asyncio.gather(*(bullmq_node_6.queue(name).add() for name in names))

    await namespace.when(lambda: all(steps(namespace, name) == [0, 1] for name in names), limit=60)
    assert operator.seen("reconcile_failed") == []
    assert (await operator.http("/healthz"))[0] == 200
