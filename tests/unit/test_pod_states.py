"""Pods as the API server sends them, and what is read from them. Needs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.core.pods import PodState
from bullherd.kube.pods import PODS, list_worker_pods, pod_state
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

STARTED = "2026-11-24T04:00:00Z"
ERROR = {"exitCode": 1, "reason": "Error"}
OOM = {"exitCode": 137, "reason": "OOMKilled", "message": "\nlast words\n"}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
IS_READY = {"type": "Ready", "status": "True"}


def pod(
    *containers: dict[str, Any],
    before: tuple[dict[str, Any], ...] = (),
    conditions: tuple[dict[str, Any], ...] = (),
    phase: str = "Pending",
    **metadata: Any,
) -> dict[str, Any]:
    plain = {"name": "emails-1", "namespace": "shop", "labels": {QUEUEJOB_LABEL: "emails"}}
    status = {
        "phase": phase,
        "conditions": list(conditions),
        "initContainerStatuses": list(before),
        "containerStatuses": list(containers),
    }
    return {"metadata": plain | metadata, "status": status}


def container(
    name: str = "worker",
    ready: bool = False,
    restarts: int = 0,
    last: dict[str, Any] | None = None,
    **state: Any,
) -> dict[str, Any]:
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container(waiting={"reason": reason, "message": message}, **more)


RUNNING = {"running": {"startedAt": STARTED}}
COMING = waiting("ContainerCreating")

ROWS = [
    ("ready", pod(container(ready=True, **RUNNING), conditions=(IS_READY,)), "", ""),
    ("no node", pod(conditions=(NO_NODE,)), "Unschedulable", "0/1 nodes"),
    ("not even looked at", pod(), "Pending", ""),
    ("being made", pod(COMING), "ContainerCreating", ""),
    ("no image", pod(waiting("ErrImagePull", "not found")), "ErrImagePull", "not found"),
    ("the second container tells", pod(COMING, waiting("InvalidImageName", "x")), "InvalidImageName", "x"),
    (
        "waits after it ended",
        pod(waiting("CrashLoopBackOff", "back-off 10s restarting", restarts=3, last=ERROR)),
        "CrashLoopBackOff",
        "the container worker ended with exit code 1 (Error)",
    ),
    (
        "has just ended",
        pod(container(terminated=OOM)),
        "CrashLoopBackOff",
        "the container worker ended with exit code 137 (OOMKilled), saying: last words",
    ),
    (
        "runs again for a moment",
        pod(container(restarts=1, last=ERROR, **RUNNING)),
        "CrashLoopBackOff",
        "the container worker ended with exit code 1 (Error)",
    ),
    (
        "has no image any more after it ended",
        pod(waiting("ImagePullBackOff", "gone", restarts=1, last=ERROR)),
        "ImagePullBackOff",
        "gone",
    ),
    (
        "runs and is not ready",
        pod(container(**RUNNING), phase="Running"),
        "NotReady",
        "the container worker runs and is not ready",
    ),
    (
        "an init container is done",
        pod(COMING, before=(container("prepare", ready=True, terminated={"exitCode": 0}),)),
        "ContainerCreating",
        "",
    ),
    (
        "an init container ends badly",
        pod(waiting("PodInitializing"), before=(container("prepare", terminated=ERROR),)),
        "CrashLoopBackOff",
        "the container prepare ended with exit code 1 (Error)",
    ),
    ("all is ready but the pod", pod(container(ready=True, **RUNNING), phase="Running"), "NotReady", ""),
]


@pytest.mark.parametrize(("name", "body", "reason", "message"), ROWS, ids=[row[0] for row in ROWS])
def test_what_a_pod_says(name: str, body: dict[str, Any], reason: str, message: str) -> None:
    state = pod_state(body)
    assert (state.reason, state.message) == (reason, message), name


def test_a_pod_tells_when_it_was_last_begun_anew() -> None:
    moment = datetime.fromisoformat(STARTED).timestamp()
    once_more = container(ready=True, restarts=1, **RUNNING)
    assert pod_state(pod(once_more, conditions=(IS_READY,))) == PodState("emails-1", restarted_at=moment)
    assert pod_state(pod(container(ready=True, **RUNNING), conditions=(IS_READY,))).restarted_at is None


async def test_only_pods_that_are_to_work_are_listed() -> None:
    api = FakeKubernetes()
    api.put(PODS, pod(COMING, name="emails-1"))
    api.put(PODS, pod(COMING, name="emails-2", deletionTimestamp=STARTED))
    api.put(PODS, pod(COMING, name="emails-3", phase="Failed"))
    api.put(PODS, pod(COMING, name="sms-1", labels={QUEUEJOB_LABEL: "sms"}))
    api.put(PODS, pod(COMING, name="emails-1", namespace="else"))
    assert [state.name for state in await list_worker_pods(api, "shop", "emails")] == ["emails-1"]
