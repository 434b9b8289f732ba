"""Worker pods that die in the middle of their items: what they held is run again, and nothing is lost.

Needs the cluster, with its images, and Node 20; to kill processes, root on the machine that the pods run on.
"""

from __future__ import annotations

import pytest

from tests.cluster.queuejobs import replicas, steps
from tests.e2e.conftest import POD_LIMIT_S, Echo, Measured
from tests.e2e.items import account
from tests.e2e.pods import PodLogs, kill_processes, workers
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode, NodeQueue

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

ITEMS = 8
CONCURRENCY = 2
SLEEP_S = 4.0


async def _both_pods_busy(place: Namespace, logs: PodLogs, queue: NodeQueue) -> tuple[list[str], str]:
    """Add items for two pods; the ids, and the pod that is to die, as soon as every place is taken."""
    added = await queue.add_bulk([{"sleep": SLEEP_S, "return": number} for number in range(ITEMS)])
    await replicas(place, queue.name, 2)
    await logs.event("echo_job_start", count=2 * CONCURRENCY, limit=POD_LIMIT_S, queue=queue.name)
    return added, logs.seen("echo_job_start", queue=queue.name)[0].pod


def _held(logs: PodLogs, pod: str) -> set[str]:
    started = {said.fields["jobId"] for said in logs.seen("echo_job_start") if said.pod == pod}
    return started - {said.fields["jobId"] for said in logs.seen("worker_job_completed") if said.pod == pod}


async def test_a_killed_process_loses_nothing(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    """SIGKILL, as for want of memory: only its locks, which run out, tell that it is dead."""
    name = await echo(concurrency=CONCURRENCY, itemsPerReplica=4, maxReplicas=2)
    queue = node.queue(name)
    added, victim = await _both_pods_busy(place, logs, queue)
    held = _held(logs, victim)
    pod = place.current("Pod", victim)
    assert pod is not None

    kill_processes(pod)

    result = await account(queue, added, POD_LIMIT_S)
    measured(f"worker killed by SIGKILL: {result}; it held {len(held)}")
    assert result.lost == frozenset()
    assert result.run_again == held
    assert len(held) == CONCURRENCY
    for item in held:
        found = await queue.item(item)
        assert found is not None
        assert (found.stalledCounter, found.attemptsStarted) == (1, 2)
    await replicas(place, name, 0)
    assert 0 not in steps(place, name)[1:-1]


async def test_a_pod_deleted_by_force_loses_nothing(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    """The pod is out of the API at once, whatever its process still does; another one takes its place."""
    name = await echo(concurrency=CONCURRENCY, itemsPerReplica=4, maxReplicas=2)
    queue = node.queue(name)
    added, victim = await _both_pods_busy(place, logs, queue)
    held = _held(logs, victim)

    await place.delete_now("Pod", victim)

    await place.when(
        lambda: len([pod for pod in workers(place, name) if pod["metadata"]["name"] != victim]) == 2
    )
    result = await account(queue, added, POD_LIMIT_S)
    measured(f"worker deleted with --force: {result}; it held {len(held)}")
    assert result.lost == frozenset()
    assert result.run_again <= held  # it may have had the time to finish them
    await replicas(place, name, 0)
    assert 0 not in steps(place, name)[1:-1]
