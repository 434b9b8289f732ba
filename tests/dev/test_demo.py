"""What the demo decides and says; needs nothing. That it works is tests/e2e/test_demo.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.demo.diagnosis import condition, crashed, hopeless, rolled_out, troubles
from dev.demo.kubectl import with_images
from dev.demo.port_forward import port_forward
from dev.demo.steps import TRAINING_FILE, steps
from dev.errors import DevError
from dev.paths import Checkout
from dev.steps import needed_for

Body = dict[str, Any]

EXAMPLES = Path(__file__).parents[2] / "examples" / "correction-aggregation"


def pod(name: str = "worker-1", phase: str = "Running", *containers: Body, **metadata: str) -> Body:
    return {
        "metadata": {"name": name, **metadata},
        "status": {"phase": phase, "containerStatuses": list(containers)},
    }


def waits(reason: str, message: str = "") -> Body:
    waiting = {"reason": reason} | ({"message": message} if message else {})
    return {"name": "worker", "state": {"waiting": waiting}}


def ended(code: int, *, now_runs: bool = False) -> Body:
    end = {"terminated": {"exitCode": code}}
    return {"name": "worker", "state": {"running": {}} if now_runs else end, "lastState": end}


def workload(generation: int, wanted: int, **status: int) -> Body:
    return {"metadata": {"generation": generation}, "spec": {"replicas": wanted}, "status": status}


def test_the_examples_get_the_images_that_the_cluster_has() -> None:
    known = {"bullherd-postgres": "localhost/bullherd-postgres:0a1b"}
    assert with_images("image: localhost/bullherd-postgres:dev\n", known) == (
        "image: localhost/bullherd-postgres:0a1b\n"
    )
    assert with_images("image: localhost/other:dev", known) == "image: localhost/other:dev"


@pytest.mark.parametrize("manifest", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_no_example_has_an_image_that_the_demo_does_not_replace(manifest: Path) -> None:
    names = ("bullherd-postgres", "bullherd-correction-aggregation")
    filled = with_images(manifest.read_text(), {name: f"replaced/{name}:1" for name in names})
    for document in yaml.safe_load_all(filled):
        template = document.get("spec", {}).get("template", document)
        for group in ("initContainers", "containers"):
            for container in template.get("spec", {}).get(group, []):
                assert container["image"].startswith("replaced/")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            workload(2, 2, observedGeneration=2, replicas=2, updatedReplicas=2, readyReplicas=2),
            True,
            id="all of them are new and ready",
        ),
        pytest.param(
            workload(2, 2, observedGeneration=1, replicas=2, updatedReplicas=2, readyReplicas=2),
            False,
            id="its controller has not seen the change yet",
        ),
        pytest.param(
            workload(2, 2, observedGeneration=2, replicas=3, updatedReplicas=2, readyReplicas=3),
            False,
            id="an old pod is left",
        ),
        pytest.param(
            workload(2, 2, observedGeneration=2, replicas=2, updatedReplicas=2, readyReplicas=1),
            False,
            id="one is not ready",
        ),
        pytest.param(workload(1, 1), False, id="just made"),
        pytest.param(workload(1, 0, observedGeneration=1), True, id="none are wanted"),
    ],
)
def test_rolled_out(body: Body, expected: bool) -> None:
    assert rolled_out(body) is expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        pytest.param(waits("ErrImagePull"), True, id="no such image"),
        pytest.param(waits("ImagePullBackOff"), True, id="no such image, for a while"),
        pytest.param(waits("CreateContainerConfigError"), True, id="no such Secret"),
        pytest.param(waits("ContainerCreating"), False, id="on its way"),
        pytest.param(waits("CrashLoopBackOff"), False, id="it may come up once what it needs is there"),
        pytest.param(ended(1), False, id="ended"),
    ],
)
def test_hopeless(container: Body, expected: bool) -> None:
    assert bool(hopeless([pod("worker-1", "Pending", container)])) is expected


def test_a_pod_that_is_being_deleted_is_nobodys_hope() -> None:
    assert not hopeless([pod("worker-1", "Pending", waits("ErrImagePull"), deletionTimestamp="now")])


def test_an_init_container_counts_too() -> None:
    body = pod("seed", "Pending", waits("PodInitializing"))
    body["status"]["initContainerStatuses"] = [{**waits("ErrImagePull"), "name": "migrate"}]
    assert hopeless([body]) == [("seed", "migrate")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            pod("a", "Pending", waits("ErrImagePull", "no such image")),
            ["pod a: container worker waits: ErrImagePull: no such image"],
            id="waits for ever",
        ),
        pytest.param(
            pod("a", "Pending", waits("ContainerCreating")), ["pod a: has not started yet"], id="slow"
        ),
        pytest.param(pod("a", "Failed", ended(137)), ["pod a: container worker ended with 137"], id="killed"),
        pytest.param(
            pod("a", "Running", ended(1, now_runs=True)),
            ["pod a: container worker ended with 1"],
            id="started again after an error",
        ),
        pytest.param(pod("a", "Succeeded", ended(0)), [], id="done"),
        pytest.param(pod("a"), [], id="well"),
        pytest.param(
            {
                "metadata": {"name": "a"},
                "status": {
                    "phase": "Pending",
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
                    ],
                },
            },
            ["pod a: has no node: 0/1 nodes are available"],
            id="no node takes it",
        ),
    ],
)
def test_troubles_of_a_pod(body: Body, expected: list[str]) -> None:
    assert troubles([body]) == expected


def test_what_pods_have_in_common_is_said_once() -> None:
    pods = [pod(name, "Pending", waits("ErrImagePull")) for name in ("a", "b", "c")]
    assert troubles(pods) == ["pod a and 2 more: container worker waits: ErrImagePull"]


def test_a_queuejob_that_is_not_ready_says_why() -> None:
    conditions = [
        {"type": "Ready", "status": "False", "reason": "QueueUnreadable", "message": "Redis is away."}
    ]
    queuejob = {"metadata": {"name": "orders"}, "status": {"conditions": conditions}}
    assert troubles([], [queuejob]) == ["QueueJob orders: QueueUnreadable: Redis is away."]
    assert condition(queuejob, "Ready") == "False"
    conditions[0]["status"] = "True"
    assert troubles([], [queuejob]) == []
    assert troubles([], [{"metadata": {"name": "orders"}}]) == []


def test_the_logs_of_crashed_containers_are_worth_reading() -> None:
    assert crashed(
        [pod("a", "Running", ended(1, now_runs=True)), pod("b"), pod("c", "Succeeded", ended(0))]
    ) == [("a", "worker")]


def test_the_training_file_is_what_everything_leads_to(tmp_path: Path) -> None:
    own = steps(Checkout(tmp_path))
    names = {step.name for step in own}
    inside = [
        type(step)(step.name, step.title, step.work, tuple(name for name in step.after if name in names))
        for step in own
    ]
    assert needed_for([TRAINING_FILE], inside) == inside


PRETENDS = "import sys, time; print(sys.argv[1], flush=True); time.sleep(float(sys.argv[2]))"


def test_a_forwarded_port_is_known_when_kubectl_says_it() -> None:
    command = [sys.executable, "-c", PRETENDS, "Forwarding from 127.0.0.1:40123 -> 6379", "60"]
    with port_forward(command, "the service redis") as port:
        assert port == 40123


def test_a_port_that_is_refused_says_why() -> None:
    command = [sys.executable, "-c", PRETENDS, 'Error: services "redis" not found', "0"]
    with pytest.raises(DevError) as failure, port_forward(command, "the service redis"):
        pass
    assert "no way into the service redis" in str(failure.value)
    assert 'services "redis" not found' in str(failure.value)


def test_waiting_for_a_port_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.demo.port_forward.LIMIT", 0.3)
    command = [sys.executable, "-c", PRETENDS, "nothing of use", "60"]
    with pytest.raises(DevError, match="no way into"), port_forward(command, "the service redis"):
        pass
