"""What holds replicas up or down beside the backlog: activation, rates, floors, hands, and BullMQ's versions.

Needs the cluster, redis-server, and Node with bullmq 5 and 6.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.cluster.queuejobs import condition, queuejob, ready, reasons, replicas, steps
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.operator import Operator
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


async def told(namespace: Namespace, type_: str, reason: str, name: str = "orders") -> str:
    """The message of a condition, as soon as it has this reason."""
    body = await namespace.until(
        "QueueJob", name, lambda body: condition(body, type_).get("reason") == reason
    )
    return str(condition(body, type_)["message"])


async def test_a_small_backlog_starts_nothing(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(queuejob("orders", activationBacklog=3))
    body = await ready(namespace, "orders")
    assert body["status"]["scaling"]["reason"] == "backlog 3 is not above activationBacklog 3"
    await queue.add()
    await replicas(namespace, "orders", 4)
    assert steps(namespace, "orders") == [0, 4]


async def test_workers_are_added_at_their_rate(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(7))
    await namespace.create(queuejob("orders", maxScaleUpPerSecond=3))
    await replicas(namespace, "orders", 7)
    grown = [version for version in namespace.history("Deployment", "orders")
             if version.body["spec"]["replicas"]]  # fmt: skip
    first_seen = {version.body["spec"]["replicas"]: version.at for version in reversed(grown)}
    assert sorted(first_seen) == [3, 6, 7]
    # Both ends of each step are seen by the same watch, a few milliseconds late.
    assert all(first_seen[after] - first_seen[before] > 0.9 for before, after in pairwise([3, 6, 7]))


async def test_the_last_worker_stays_for_the_cooldown(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(4))
    await namespace.create(queuejob("orders", scaleDownDelaySeconds=1, cooldownSeconds=4))
    await replicas(namespace, "orders", 4)
    await queue.call("drain")
    await replicas(namespace, "orders", 0)
    assert steps(namespace, "orders")[-3:] == [4, 1, 0]


async def test_a_rush_that_is_known_is_met_by_workers(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    begin = datetime.now(UTC) + timedelta(seconds=4)
    floor = {"schedule": f"{begin:%S %M %H} * * *", "duration": "3s", "minReplicas": 2}
    await namespace.create(queuejob("orders", floors=[floor], cooldownSeconds=1))
    await replicas(namespace, "orders", 2)
    risen = namespace.history("Deployment", "orders")[-1].at
    assert risen >= begin.replace(microsecond=0).timestamp()
    await replicas(namespace, "orders", 0)
    assert namespace.history("Deployment", "orders")[-1].at - risen >= 3.0


async def test_a_floor_that_cannot_be_read_is_told(namespace: Namespace, operator: Operator) -> None:
    floor = {"schedule": "0 8 31 2 *", "timeZone": "Europe/Nowhere", "duration": "1h", "minReplicas": 2}
    await namespace.create(queuejob("orders", floors=[floor]))
    message = await told(namespace, "Ready", "Invalid")
    assert "spec.scaling.floors" in message
    assert "Europe/Nowhere" in message


async def test_replicas_set_by_hand_are_kept_while_they_are_held(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(3))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 3)
    await ready(namespace, "orders")
    until = datetime.now(UTC) + timedelta(seconds=6)
    hold = {"bullherd.dev/hold-replicas-until": until.isoformat(timespec="seconds")}
    await namespace.patch("QueueJob", "orders", {"metadata": {"annotations": hold}})
    await namespace.until(
        "QueueJob", "orders", lambda body: "held by hand" in body["status"]["scaling"]["reason"]
    )
    await namespace.patch("Deployment", "orders", {"spec": {"replicas": 1}}, "scale")
    await replicas(namespace, "orders", 1)

    await replicas(namespace, "orders", 3)
    assert namespace.history("Deployment", "orders")[-1].at >= until.replace(microsecond=0).timestamp()
    assert steps(namespace, "orders")[-3:] == [3, 1, 3]
    body = await namespace.until(
        "QueueJob", "orders", lambda body: len(body["status"]["scaling"]["changes"]) == 3
    )
    (back, by_hand, *_) = body["status"]["scaling"]["changes"]
    assert (by_hand["from"], by_hand["to"], back["from"], back["to"]) == (3, 1, 1, 3)
    assert by_hand["reason"].startswith("not by Bullherd")


async def test_a_queue_that_nobody_has_used_is_told(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders", queue="order"))
    message = await told(namespace, "QueueFound", "QueueNotFound")
    assert "bull:order" in message
    assert redis_server.endpoint.address in message
    await bullmq_node_6.queue("order").add()
    await told(namespace, "QueueFound", "Found")


async def test_items_that_wait_for_children_ask_for_nobody(
    namespace: Namespace, operator: Operator, bullmq_node: BullmqNode
) -> None:
    children = [{"name": "parcel", "queueName": "parcels"}] * 2
    flow = {"name": "order", "queueName": "orders", "children": children}
    await bullmq_node.queue("orders").call("addFlow", flow)
    await namespace.create(queuejob("orders"))
    await namespace.create(queuejob("parcels"))
    await replicas(namespace, "parcels", 2)
    body = await ready(namespace, "orders")
    assert body["status"]["counts"]["waitingChildren"] == 1
    assert steps(namespace, "orders") == [0]


async def test_a_pause_by_two_versions_is_refused(
    namespace: Namespace, operator: Operator, redis_server: RedisServer, start_node: StartNode
) -> None:
    five, six = await start_node("v5", redis_server), await start_node("v6", redis_server)
    await five.queue("orders").add_bulk(range(3))
    await namespace.create(queuejob("orders", cooldownSeconds=0))
    await replicas(namespace, "orders", 3)
    await six.queue("orders").pause()
    await five.queue("orders").add_bulk(range(2))

    message = await told(namespace, "Ready", "MixedPause")
    assert "If BullMQ 5 resumes it now, those 3 items are lost" in message
    await namespace.when(lambda: "MixedPause" in reasons(namespace, "orders"))

    await six.queue("orders").resume()
    body = await ready(namespace, "orders")
    assert body["status"]["backlog"] == 5


def unschedulable(body: Body) -> bool:
    return condition(body, "ScalingLimited").get("reason") == "Unschedulable"


async def test_pods_that_find_no_node_are_told_and_no_more_are_asked_for(
    namespace: Namespace, operator: Operator, bullmq_node_6: BullmqNode
) -> None:
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(3))
    await namespace.create(queuejob("orders"))
    body = await namespace.until("QueueJob", "orders", unschedulable, 40)
    assert "3 of 3 worker pods find no node" in condition(body, "ScalingLimited")["message"]
    await operator.metric("bullherd_unschedulable_pods", lambda pods: pods == 3, queuejob="orders")
    await queue.add_bulk(range(4))
    await operator.metric("bullherd_queue_backlog", lambda items: items == 7, queuejob="orders")
    await namespace.until("QueueJob", "orders", lambda body: body["status"]["backlog"] == 7)
    assert steps(namespace, "orders") in ([3], [0, 3])
