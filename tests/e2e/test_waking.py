"""Items that find no worker: delayed, prioritized, in a paused queue; with bullmq 5 and 6.

Needs the cluster, with its images, and Node 20.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.queuejobs import replicas, steps
from tests.e2e.conftest import POD_LIMIT_S, Echo
from tests.e2e.pods import workers
from tests.fixtures.kubernetes import Namespace
from tests.fixtures.node import BullmqNode

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

DELAY_S = 3.0


async def test_a_delayed_item_is_run_when_it_is_due(
    place: Namespace, web_app: BullmqNode, echo: Echo
) -> None:
    name = await echo()
    queue = web_app.queue(name)

    item, added_at = await queue.add_timed("later", {"return": "done"}, delay=DELAY_S * 1000)

    assert await queue.wait_until_finished(item, POD_LIMIT_S) == "done"
    up = next(one for one in place.history("Deployment", name) if one.body["spec"]["replicas"])
    assert DELAY_S - 0.1 <= up.at - added_at < DELAY_S + 3
    await replicas(place, name, 0)
    assert steps(place, name) == [0, 1, 0]
    finished = await queue.item(item)
    assert finished is not None
    assert finished.processedOn is not None
    assert finished.processedOn >= finished.timestamp + DELAY_S * 1000
    assert (finished.attemptsMade, finished.attemptsStarted) == (1, 1)


async def test_a_prioritized_item_wakes_the_workers(
    place: Namespace, web_app: BullmqNode, echo: Echo
) -> None:
    name = await echo()
    queue = web_app.queue(name)

    item, added_at = await queue.add_timed("urgent", {"return": "done"}, priority=5)

    assert await queue.wait_until_finished(item, POD_LIMIT_S) == "done"
    up = next(one for one in place.history("Deployment", name) if one.body["spec"]["replicas"])
    assert up.at - added_at < 3
    await replicas(place, name, 0)
    assert steps(place, name) == [0, 1, 0]


async def test_a_paused_queue_has_no_workers(place: Namespace, web_app: BullmqNode, echo: Echo) -> None:
    name = await echo(maxReplicas=2)
    queue = web_app.queue(name)
    await queue.pause()
    items = await queue.add_bulk([{"return": 1}, {"return": 2}])

    body = await place.until("QueueJob", name, lambda body: body["status"].get("paused") is True)
    assert body["status"]["scaling"]["desiredReplicas"] == 0
    assert (steps(place, name), workers(place, name)) == ([0], [])

    resumed = time.time()
    await queue.resume()
    for number, item in enumerate(items, 1):
        assert await queue.wait_until_finished(item, POD_LIMIT_S) == number
    up = next(one for one in place.history("Deployment", name) if one.body["spec"]["replicas"])
    assert 0 <= up.at - resumed < 3
    await replicas(place, name, 0)
    assert steps(place, name) == [0, 2, 0]
