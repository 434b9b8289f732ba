"""What is deleted leaves in good order: a QueueJob with work in hand, and a release under its QueueJobs.

Needs the cluster, with its images, and Node 20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.chart.release import Cluster, Release, Values, own_namespace
from tests.cluster.queuejobs import ready
from tests.e2e.conftest import POD_LIMIT_S, Echo, Measured, RedisDoor
from tests.e2e.echo import echo_queuejob
from tests.e2e.items import account
from tests.e2e.pods import PodLogs, workers
from tests.fixtures.kubernetes import Api, Body, Namespace
from tests.fixtures.node import BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]


async def test_running_items_finish_when_their_queuejob_is_deleted(
    place: Namespace, node: BullmqNode, logs: PodLogs, echo: Echo, measured: Measured
) -> None:
    name = await echo(maxReplicas=1)
    queue = node.queue(name)
    added = await queue.add_bulk([{"sleep": 4, "return": number} for number in range(2)])
    running = (await logs.event("echo_job_start", limit=POD_LIMIT_S, queue=name)).fields["jobId"]

    await place.delete("QueueJob", name)

    await place.gone("Deployment", name)
    assert workers(place, name), "the pod did not have the time to finish"
    await place.when(lambda: not workers(place, name), POD_LIMIT_S)
    assert {item.id for item in await queue.items("completed")} == {running}
    assert [item.id for item in await queue.items("waiting")] == [one for one in added if one != running]

    # The queue outlives its QueueJob: the next one goes on where it was left.
    await place.create(_anew(place.history("QueueJob", name)[-1].body))
    result = await account(queue, added, POD_LIMIT_S)
    measured(f"QueueJob deleted under a running item: {result}")
    assert (result.lost, result.run_again) == (frozenset(), frozenset())


def _anew(body: Body) -> Body:
    """A QueueJob that was deleted, as somebody would apply it once more."""
    again = {key: body[key] for key in ("apiVersion", "kind", "spec")}
    return {**again, "metadata": {"name": body["metadata"]["name"]}}


@pytest.fixture
def second_release(
    target: Cluster, values: Values, release: Release, redis_door: RedisDoor
) -> Iterator[Release]:
    """Another release, in another namespace, whose connection "shared" is the first one's Redis."""
    with own_namespace(target, "e2e") as second:
        shared = {"host": f"bullherd-redis.{release.namespace}.svc", "password": redis_door.password}
        own = {
            "watchNamespaces": [second.namespace],
            "connections": {"shared": shared},
            "redis": {"embedded": {"enabled": False}},
        }
        second.install(values, own)
        yield second


def _has_a_worker(deployment: Body) -> bool:
    return bool(deployment["status"].get("readyReplicas") == 1)


async def test_a_release_may_go_before_its_queuejobs(
    second_release: Release, node: BullmqNode, images: Mapping[str, str]
) -> None:
    """Its workers go on, and nothing holds the QueueJob back when that is deleted after it."""
    name = "orphan"
    queue = node.queue(name)
    api = await Api.connect(second_release.cluster.kubeconfig)
    there = Namespace(api, second_release.namespace)
    there.watch()
    try:
        await there.create(echo_queuejob(name, images["bullherd-worker"], connection="shared", minReplicas=1))
        await ready(there, name)
        await there.until("Deployment", name, _has_a_worker, POD_LIMIT_S)

        second_release.cluster.helm("uninstall", "bullherd", "-n", second_release.namespace, "--wait")

        item = await queue.add(data={"return": "worked"})
        assert await queue.wait_until_finished(item, POD_LIMIT_S) == "worked"
        await there.delete("QueueJob", name)
        await there.gone("QueueJob", name)
        await there.gone("Deployment", name)
        await there.when(lambda: not workers(there, name), POD_LIMIT_S)
    finally:
        await there.unwatch()
        await api.close()
