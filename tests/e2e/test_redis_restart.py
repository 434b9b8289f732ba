"""The release's Redis goes away while items wait and run: it comes back with all of them.

Needs the cluster, with its images, and Node 20; to kill processes, root on the machine that the pods run on.
"""

from __future__ import annotations

import pytest

from tests.chart.release import Release
from tests.cluster.queuejobs import condition, ready, replicas, steps
from tests.e2e.conftest import POD_LIMIT_S, Echo, Measured, RedisDoor
from tests.e2e.items import account
from tests.e2e.pods import PodLogs, kill_processes, operators
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

REDIS = "bullherd-redis-0"
ITEMS = 8


def _redis_started(body: Body) -> str:
    """When the Redis that serves now was started; empty while none does."""
    conditions = body.get("status", {}).get("conditions", [])
    if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return ""
    return str(body["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])


@pytest.mark.parametrize("end", ["deleted", "killed"])
async def test_nothing_is_lost_when_redis_restarts(
    place: Namespace,
    node: BullmqNode,
    logs: PodLogs,
    echo: Echo,
    redis_door: RedisDoor,
    end: str,
    measured: Measured,
) -> None:
    name = await echo(concurrency=2, itemsPerReplica=4, maxReplicas=2)
    queue = node.queue(name)
    added = await queue.add_bulk([{"sleep": 3, "return": number} for number in range(ITEMS)])
    await logs.event("echo_job_start", count=4, limit=POD_LIMIT_S, queue=name)
    pod = await place.until("Pod", REDIS, lambda body: bool(_redis_started(body)))
    before = _redis_started(pod)

    if end == "deleted":
        await place.delete("Pod", REDIS)
    else:
        kill_processes(pod)
    await place.until("Pod", REDIS, lambda body: _redis_started(body) not in ("", before), POD_LIMIT_S)
    held = steps(place, name)
    redis_door.reopen()

    result = await account(queue, added, 2 * POD_LIMIT_S)
    measured(f"Redis {end} with 4 items at work and 4 waiting: {result}")
    assert result.lost == frozenset()
    # At least once: an item whose lock ran out while Redis was away is run again, the waiting ones never are.
    assert result.run_again <= {said.fields["jobId"] for said in logs.seen("worker_item_lost")}
    assert held == [0, 2]
    await replicas(place, name, 0, POD_LIMIT_S)
    asked = steps(place, name)
    assert 0 not in asked[1:-1]


async def test_an_operator_that_starts_without_redis_says_so_and_heals(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, redis_door: RedisDoor, release: Release
) -> None:
    scale = ("-n", release.namespace, "scale", "statefulset/bullherd-redis")
    try:
        release.cluster.kubectl(*scale, "--replicas=0")
        await place.gone("Pod", REDIS, POD_LIMIT_S)
        old = {pod["metadata"]["name"] for pod in operators(place)}
        for pod in old:
            await place.delete("Pod", pod)
        name = await echo(until_ready=False)

        body = await ready(place, name, "QueueUnreadable", POD_LIMIT_S)

        assert condition(body)["message"].startswith("Redis at bullherd-redis.")
        assert condition(body, "RedisReachable")["status"] == "False"
        assert "backlog" not in body["status"]
        started = [said for said in logs.seen("operator_started") if said.pod not in old]
        assert started, "none of the new operators leads"
    finally:
        release.cluster.kubectl(*scale, "--replicas=1")
    await place.until("Pod", REDIS, lambda body: bool(_redis_started(body)), POD_LIMIT_S)
    redis_door.reopen()
    item = await node.queue(name).add(data={"return": "done"})
    await ready(place, name, limit=POD_LIMIT_S)
    assert await node.queue(name).wait_until_finished(item, POD_LIMIT_S) == "done"
