"""What the operator writes into a QueueJob and tells about it: all of it kept, in time, and not too often.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bullherd.api import (
    Condition,
    ConditionStatus,
    QueueCounts,
    QueueJob,
    QueueJobStatus,
    ScaleIn,
    ScalingChange,
    ScalingStatus,
)
from bullherd.kube.queuejobs import write_status
from tests.cluster.queuejobs import condition, queuejob, ready, reasons, replicas
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


def status_writes(namespace: Namespace, name: str) -> list[tuple[float, Body]]:
    """When each status came, and the status."""
    written: list[tuple[float, Body]] = []
    for version in namespace.history("QueueJob", name):
        status = version.body.get("status")
        if status is not None and (not written or status != written[-1][1]):
            written.append((version.at, status))
    return written


async def test_the_api_server_keeps_every_field(namespace: Namespace) -> None:
    created = await namespace.create(queuejob("orders"))
    moment = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
    full = QueueJobStatus(
        observed_generation=1,
        backlog=1,
        counts=QueueCounts(**dict.fromkeys(QueueCounts.model_fields, 2)),
        replicas=3,
        ready_replicas=4,
        oldest_item_age_seconds=6,
        paused=True,
        snapshot_time=moment,
        scaling=ScalingStatus(
            engine="HPA",
            desired_replicas=5,
            reason="why",
            scale_in=ScaleIn(since=moment.replace(microsecond=123456), peak=7),
            changes=(ScalingChange(time=moment, from_=1, to=2, reason="more"),),
        ),
        bullmq_version="6.7.0",
        conditions=(
            Condition(
                type="Ready",
                status=ConditionStatus.TRUE,
                reason="Scaling",
                message="All is well.",
                last_transition_time=moment,
                observed_generation=1,
            ),
        ),
    )
    assert all(value is not None for value in full.model_dump().values())

    await write_status(namespace.api.as_operator, QueueJob.parse(created), full)

    stored = QueueJob.parse(await namespace.get("QueueJob", "orders"))
    assert stored.status == full


async def test_a_status_tells_all_about_its_queue(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    queue = bullmq_node.queue("orders")
    worker = await queue.worker(concurrency=2)
    await queue.add_bulk([{"return": 1}, {"fail": "no"}])
    await worker.event("completed")
    await worker.event("failed")
    await worker.close()
    busy = await queue.worker(hold=True)
    await queue.add()
    await busy.started(1)
    await queue.add_bulk(range(3))
    await queue.add(priority=5)
    await queue.add_bulk(range(2), delay=3_600_000)

    await namespace.create(queuejob("orders", maxReplicas=4))

    body = await ready(namespace, "orders")
    status = body["status"]
    assert status["counts"] == {
        "waiting": 3,
        "prioritized": 1,
        "paused": 0,
        "delayed": 2,
        "delayedDue": 0,
        "active": 1,
        "waitingChildren": 0,
        "completed": 1,
        "failed": 1,
    }
    assert (status["backlog"], status["scaling"]["desiredReplicas"], status["paused"]) == (5, 4, False)
    assert status["scaling"]["reason"] == "backlog 5 at 1 per replica, capped by maxReplicas 4"
    assert status["bullmqVersion"].startswith(bullmq_node.major[1])
    assert status["observedGeneration"] == body["metadata"]["generation"]
    assert status["oldestItemAgeSeconds"] >= 0
    assert condition(body)["observedGeneration"] == body["metadata"]["generation"]
    scaled = await namespace.until("QueueJob", "orders", lambda body: body["status"].get("replicas") == 4)
    assert scaled["status"]["readyReplicas"] == 0


async def test_mere_numbers_are_written_every_ten_seconds_and_transitions_at_once(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add()
    await namespace.create(queuejob("orders", minReplicas=1, maxReplicas=10, itemsPerReplica=100))
    await namespace.until("QueueJob", "orders", lambda body: body.get("status", {}).get("replicas") == 1)
    await ready(namespace, "orders")
    quiet_since = status_writes(namespace, "orders")[-1]

    added = 1
    while status_writes(namespace, "orders")[-1] == quiet_since:
        await queue.add()
        added += 1
        await operator.metric("bullherd_queue_backlog", lambda n: n == added, queuejob="orders")  # noqa: B023

    (_, last), (written_at, status) = status_writes(namespace, "orders")[-2:]
    assert written_at - quiet_since[0] > 9
    assert added > 5
    assert last["backlog"] == 1
    assert 0 < status["backlog"] <= added

    await queue.pause()
    body = await namespace.until("QueueJob", "orders", lambda body: body["status"]["paused"] is True, limit=5)
    assert body["status"]["backlog"] == added
    written = len(status_writes(namespace, "orders"))
    await operator.metric("bullherd_reconcile_seconds_count", lambda n: n > 0)
    assert len(status_writes(namespace, "orders")) == written


async def test_events_tell_transitions_once(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await replicas(namespace, "orders", 2)
    redis_server.stop()
    await ready(namespace, "orders", "QueueUnreadable")
    redis_server.start()
    await ready(namespace, "orders")
    await namespace.until("QueueJob", "orders", lambda body: body["status"].get("replicas") == 2)
    await namespace.when(lambda: len(reasons(namespace, "orders")) == 4)

    # A spec that changes nothing that matters is reconciled and written, and is no Event.
    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"maxReplicas": 30}}})
    await namespace.until("QueueJob", "orders", lambda body: body["status"]["observedGeneration"] == 2)

    assert reasons(namespace, "orders") == ["Scaling", "ScaledUp", "QueueUnreadable", "Scaling"]
    events = {one["reason"]: one for one in namespace.all("Event") if one["type"] != ""}
    assert events["QueueUnreadable"]["type"] == "Warning"
    assert events["ScaledUp"]["type"] == "Normal"
    assert events["ScaledUp"]["message"] == "0 to 2 replicas: backlog 2 at 1 per replica"
    assert events["ScaledUp"]["source"] == {"component": "bullherd"}
