"""A Node worker as it was before Bullherd works a queue with nothing but the environment of a worker pod.

Needs the cluster, with its images, and Node 20.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.queuejobs import ready, replicas
from tests.e2e.conftest import POD_LIMIT_S
from tests.e2e.node_pods import node_image, node_queuejob
from tests.e2e.pods import exit_code
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

ITEMS = 5


async def test_a_node_worker_runs_unchanged(
    place: Namespace, web_app: BullmqNode, images: Mapping[str, str]
) -> None:
    name = f"node-{web_app.major}"
    image = await asyncio.to_thread(node_image, images)
    scaling: dict[str, Any] = {"itemsPerReplica": ITEMS, "maxReplicas": 1, "engine": "Direct"}
    await place.create(node_queuejob(name, image, web_app.major, concurrency=3, **scaling))
    await ready(place, name)
    queue = web_app.queue(name)
    added = await queue.add_bulk([{"name": f"guest {number}"} for number in range(ITEMS)])
    for number, item in enumerate(added):
        result = await queue.wait_until_finished(item, POD_LIMIT_S)
        assert result == {"greeting": f"hello, guest {number}"}
    (worker,) = {item.processedBy for item in await queue.items("completed")}
    assert worker is not None
    assert place.history("Pod", worker)[0].body["metadata"]["labels"]["bullherd.dev/queuejob"] == name

    await replicas(place, name, 0)
    await place.gone("Pod", worker)
    assert exit_code(place.history("Pod", worker)[-1].body) == 0
