"""A worker pod that is stopped before its program can hear it ends at once, and takes nothing.

Needs the cluster, with its images.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.e2e.conftest import POD_LIMIT_S
from tests.e2e.echo import echo_queuejob
from tests.e2e.pods import PodLogs, exit_code
from tests.fixtures.kubernetes import Body, Namespace

pytestmark = [pytest.mark.e2e, pytest.mark.cluster]

BY_SIGTERM = 128 + 15
SLOW_START = 'import time\nprint(\'{"event": "importing"}\', flush=True)\ntime.sleep(300)\n'
GRACE_S = 300
"""Longer than any wait here: a pod that did not hear would be there until then."""


def pod_that_imports_for_ever(image: str) -> Body:
    pod: Body = echo_queuejob("starting", image)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["args"] = ["slow_start"]
    container["env"] = [{"name": "QUEUE_NAME", "value": "none"}, {"name": "PYTHONPATH", "value": "/kinds"}]
    container["volumeMounts"] = [{"name": "kinds", "mountPath": "/kinds"}]
    pod["volumes"] = [{"name": "kinds", "configMap": {"name": "slow-start"}}]
    pod["terminationGracePeriodSeconds"] = GRACE_S
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "starting"}, "spec": pod}


async def test_a_worker_that_is_stopped_while_it_starts_ends_at_once(
    place: Namespace, images: Mapping[str, str], logs: PodLogs
) -> None:
    image = await asyncio.to_thread(images.__getitem__, "bullherd-worker")
    module = {"metadata": {"name": "slow-start"}, "data": {"slow_start.py": SLOW_START}}
    await place.api.request("POST", f"/api/v1/namespaces/{place.name}/configmaps", module)
    await place.create(pod_that_imports_for_ever(image))
    await logs.event("importing", limit=POD_LIMIT_S)
    await place.delete("Pod", "starting")
    await place.gone("Pod", "starting", POD_LIMIT_S)
    assert exit_code(place.history("Pod", "starting")[-1].body) == BY_SIGTERM
