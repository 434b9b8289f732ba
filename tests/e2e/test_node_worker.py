"""A Node worker as it was before Bullherd works a queue with nothing but the environment of a worker pod.

There is no registry with a Node image in the cluster, so the process runs here: node_worker.mjs, with exactly
the variables of the Deployment that the operator made. cluster_network.cjs stands in for the pod's network.

Needs the cluster, with its images, and Node 20.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.chart.release import Release
from tests.cluster.queuejobs import UNSCHEDULABLE, replicas
from tests.e2e.conftest import POD_LIMIT_S, Echo, RedisDoor
from tests.e2e.pods import workers
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import NODE_FOLDER, BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

FOLDER = Path(__file__).parent
ITEMS = 5


async def test_a_node_worker_runs_unchanged(
    place: Namespace, web_app: BullmqNode, redis_door: RedisDoor, release: Release, echo: Echo
) -> None:
    # Its pods stay Pending, so that they leave the items to the process here.
    pending = {"nodeSelector": UNSCHEDULABLE["spec"]["nodeSelector"]}
    name = await echo(concurrency=3, itemsPerReplica=ITEMS, maxReplicas=1, pod=pending)
    queue = web_app.queue(name)
    added = await queue.add_bulk([{"name": f"guest {number}"} for number in range(ITEMS)])
    await replicas(place, name, 1)
    await place.when(lambda: len(workers(place, name)) == 1)

    environment = _environment(place, name, release)
    node = shutil.which("node")
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        *(node, "--require", str(FOLDER / "cluster_network.cjs"), str(FOLDER / "node_worker.mjs")),
        str(NODE_FOLDER / web_app.major),
        env={
            "PATH": os.environ["PATH"],
            **environment,
            "CLUSTER_ADDRESS": f"{environment['REDIS_HOST']}:{environment['REDIS_PORT']}",
            "CLUSTER_DOOR": redis_door.environment["REDIS_PORT"],
        },
    )
    try:
        for number, item in enumerate(added):
            result = await queue.wait_until_finished(item, POD_LIMIT_S)
            assert result == {"greeting": f"hello, guest {number}"}
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    done = await queue.items("completed")
    assert {item.processedBy for item in done} == {environment["WORKER_NAME"]}
    await replicas(place, name, 0)


def _environment(place: Namespace, name: str, release: Release) -> dict[str, str]:
    """The worker container's variables of the Deployment's template, with every reference resolved."""
    deployment = place.current("Deployment", name)
    assert deployment is not None
    (pod,) = workers(place, name)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            value = release.secret(source["secretKeyRef"]["name"])[source["secretKeyRef"]["key"]]
        elif "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            value = pod["metadata"]["name"]
        else:
            value = variable.get("value", "")
        environment[variable["name"]] = value
    return environment
