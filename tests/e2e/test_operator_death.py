"""Operator pods that die while there is work: the standby goes on, and nothing is lost.

Needs the cluster, with its images, and Node 20; to kill processes, root on the machine that the pods run on.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import replicas, steps
from tests.e2e.conftest import POD_LIMIT_S, Echo, Measured
from tests.e2e.items import account
from tests.e2e.pods import PodLogs, kill_processes, leader, operators
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

TAKEOVER_LIMIT_S = 15.0
ITEMS = 30


async def _leader_with_standby(place: Namespace) -> Body:
    """The pod of the operator that leads, once another one could take over."""

    def both() -> bool:
        ready = [pod for pod in operators(place) if _is_ready(pod)]
        return len(ready) == 2 and leader(place) in {pod["metadata"]["name"] for pod in ready}

    await place.when(both, POD_LIMIT_S, lambda: "a leader and a standby that are ready")
    pod = place.current("Pod", leader(place))
    assert pod is not None
    return pod


def _is_ready(pod: Body) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return not pod["metadata"].get("deletionTimestamp") and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions
    )


async def test_the_standby_takes_over_from_a_dead_leader(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    """As when a node dies: the process is gone without a word, and its pod does not come back."""
    name = await echo()
    queue = node.queue(name)
    dead = await _leader_with_standby(place)

    kill_processes(dead)
    died = time.time()
    await place.delete_now("Pod", dead["metadata"]["name"])
    item = await queue.add(data={"return": "done"})

    await replicas(place, name, 1, limit=2 * TAKEOVER_LIMIT_S)
    took = place.history("Deployment", name)[-1].at - died
    assert await queue.wait_until_finished(item, POD_LIMIT_S) == "done"
    measured(f"kill -9 of the leader: the standby scaled {took:.1f} s later")
    assert leader(place) != dead["metadata"]["name"]
    assert took < TAKEOVER_LIMIT_S


async def test_an_operator_that_dies_while_it_scales_loses_nothing(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    """What it had scaled to so far works on; the standby scales the rest, and back to 0."""
    name = await echo(concurrency=2, itemsPerReplica=5, maxReplicas=4)
    queue = node.queue(name)
    dead = await _leader_with_standby(place)

    added = await queue.add_bulk([{"sleep": 3}] * ITEMS)
    await place.until("Deployment", name, lambda body: body["spec"]["replicas"] > 0)
    kill_processes(dead)
    await place.delete_now("Pod", dead["metadata"]["name"])

    result = await account(queue, added, 2 * POD_LIMIT_S)
    measured(f"operator killed while scaling: {result}")
    assert result.lost == frozenset()
    assert result.run_again == frozenset()
    await replicas(place, name, 0, limit=POD_LIMIT_S)
    asked = steps(place, name)
    assert (asked[0], max(asked), asked[-1]) == (0, 4, 0)
    assert 0 not in asked[1:-1]


async def test_an_operator_that_is_replaced_hands_over_at_once(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    """As in a rolling update: it gives its Lease up, and nobody waits for that to run out."""
    name = await echo()
    queue = node.queue(name)
    old = await _leader_with_standby(place)

    left = time.time()
    await place.delete("Pod", old["metadata"]["name"])
    item = await queue.add(data={"return": "done"})

    await replicas(place, name, 1)
    took = place.history("Deployment", name)[-1].at - left
    measured(f"deletion of the leader: the standby scaled {took:.1f} s later")
    assert took < 6
    assert await queue.wait_until_finished(item, POD_LIMIT_S) == "done"
