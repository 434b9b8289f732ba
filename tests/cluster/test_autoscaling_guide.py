"""docs/autoscaling.md as it stands: its examples against a real API server and HPA, its commands one by one.

Only the worker's image is another, and the namespace. Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.guides import AUTOSCALING, blocks
from tests.cluster.kubectl import Kubectl
from tests.cluster.queuejobs import condition, ready, replicas
from tests.cluster.test_hpa import SYNC_LIMIT_S, active
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import SERVICE, Server

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node, pytest.mark.timeout(300)]

HPA = "HorizontalPodAutoscaler"

QUEUEJOB, *CHANGES = [yaml.safe_load(text) for text in blocks(AUTOSCALING, "yaml")]


def orders() -> Body:
    """The page's QueueJob, with pods that do nothing and end at once."""
    pod = {**QUEUEJOB["spec"]["template"]["spec"], "terminationGracePeriodSeconds": 1}
    pod["containers"] = [{**container, "image": "localhost/pause:1"} for container in pod["containers"]]
    return {**QUEUEJOB, "spec": {**QUEUEJOB["spec"], "template": {"spec": pod}}}


@pytest.fixture
async def operator(
    start_operator: StartOperator, connections: Connections, redis_server: RedisServer
) -> Operator:
    """One that knows of the server; its connection "default" is the test's Redis, as is the server's."""
    connections.write("default", redis_server.endpoint)
    return await start_operator(METRICS_SERVICE=SERVICE)


@pytest.fixture
def kubectl(cluster: Any, namespace: Namespace, tmp_path: Path) -> Kubectl:
    """kubectl of somebody whose namespace is the test's, as a person's is who types what the page says."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace.name
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    return Kubectl(tmp_path / "kubeconfig")


Run = Callable[[str], Awaitable[str]]


@pytest.fixture
def run(kubectl: Kubectl, namespace: Namespace) -> Run:
    """Runs a block of commands, and gives what they printed."""

    async def run(commands: str) -> str:
        commands = commands.replace("namespaces/default/", f"namespaces/{namespace.name}/")
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", commands),
            env=os.environ | {"KUBECONFIG": str(kubectl.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaints = await process.communicate()
        assert process.returncode == 0, f"{commands}{complaints.decode()}"
        return printed.decode()

    return run


async def test_the_examples_are_taken_by_the_api_server_and_the_operator(
    namespace: Namespace, external_metrics: Server, operator: Operator, kubectl: Kubectl
) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(orders()))
    await ready(namespace, "orders")
    for change in CHANGES:
        patch = ("patch", "queuejob", "orders", "--type=merge", "-p", json.dumps(change), "-o", "json")
        patched = json.loads(kubectl(*patch))
        assert patched["spec"]["scaling"].items() >= change["spec"]["scaling"].items()
        generation = patched["metadata"]["generation"]
        await namespace.until(
            "QueueJob", "orders", lambda body, new=generation: body["metadata"]["generation"] == new
        )
        after = await ready(namespace, "orders")

    said = {key: value for change in CHANGES for key, value in change["spec"]["scaling"].items()}
    body = await namespace.until(HPA, "orders", lambda body: len(body["spec"]["metrics"]) == 2)
    assert body["spec"]["metrics"][1:] == said["extraMetrics"]
    assert body["spec"]["behavior"]["scaleUp"]["policies"] == said["behavior"]["scaleUp"]["policies"]
    assert body["spec"]["maxReplicas"] == said["maxReplicas"]
    assert condition(after, "AutoscalerActive")["status"] == "True"


async def test_the_commands_do_what_the_page_says(
    namespace: Namespace,
    external_metrics: Server,
    operator: Operator,
    run: Run,
    bullmq_node_6: BullmqNode,
) -> None:
    see, engines, costs, hold, release, denied, whose = blocks(AUTOSCALING, "sh")
    queue = bullmq_node_6.queue("orders")
    await queue.add_bulk(range(42))
    await namespace.create(orders())
    await replicas(namespace, "orders", 9)
    await active(namespace)

    seen = await run(see)
    assert seen.endswith("backlog 42 at 5 per replica\n")
    for word in ("Engine:", "Changes:", "ScaledUp", "QueueFound", "ScalingLimited", "RedisReachable"):
        assert word in seen
    seen = await run(engines)
    assert "4667m/5 (avg) 1 40 9" in " ".join(seen.split())
    assert json.loads(seen[seen.index("{") :])["items"][0]["value"] == "42"

    # One pod holds an item, as its worker tells Redis; the others have nothing left to do.
    pod = sorted(pod["metadata"]["name"] for pod in namespace.all("Pod"))[0]
    worker = await queue.worker(name=pod, hold=True)
    await worker.started(1)
    await namespace.patch("QueueJob", "orders", {"spec": {"scaling": {"scaleDownDelaySeconds": 0}}})
    await queue.call("drain")
    await namespace.until("Pod", pod, _is_marked)
    assert [line.split() for line in (await run(costs)).splitlines()].count([pod, "2"]) == 1

    await run(hold)
    await replicas(namespace, "orders", 3)
    await namespace.gone(HPA, "orders")
    body = await namespace.until(
        "QueueJob", "orders", lambda body: body["status"]["scaling"]["reason"].startswith("3 held by hand")
    )
    assert condition(body)["status"] == "True"
    await run(release)
    await replicas(namespace, "orders", 1, SYNC_LIMIT_S)
    assert namespace.current(HPA, "orders") is not None
    assert namespace.current("Pod", pod) is not None

    assert "BudgetExhausted" not in await run(denied)
    assert f"{namespace.name}/{SERVICE}" in await run(whose)


def _is_marked(pod: Body) -> bool:
    annotations = pod["metadata"].get("annotations", {})
    return bool(annotations.get("controller.kubernetes.io/pod-deletion-cost") == "2")
