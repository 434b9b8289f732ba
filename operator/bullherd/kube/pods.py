"""The pods of a QueueJob's workers, as far as they tell why they are not ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from bullherd.core.manifests import QUEUEJOB_LABEL
from bullherd.core.pods import CRASH_LOOP, NORMAL_AT_FIRST, UNSCHEDULABLE, PodState
from bullherd.kube.client import Kubernetes, Resource

PODS = Resource("/api/v1", "pods")


async def list_worker_pods(kubernetes: Kubernetes, namespace: str, queuejob: str) -> tuple[PodState, ...]:
    """Those that are to work: neither ended for good, which others replace, nor being deleted."""
    listed = await kubernetes.list(PODS, namespace, labels={QUEUEJOB_LABEL: queuejob})
    return tuple(
        pod_state(body)
        for body in listed["items"]
        if body.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and "deletionTimestamp" not in body["metadata"]
    )


def pod_state(body: Mapping[str, Any]) -> PodState:
    """A Pod object of the API as the core sees it."""
    name, status = body["metadata"]["name"], body.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    before, main = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    restarted_at = _restarted_at([*before, *main])
    scheduled = conditions.get("PodScheduled", {})
    if conditions.get("Ready", {}).get("status") == "True":
        return PodState(name, restarted_at=restarted_at)
    if scheduled.get("status") == "False":
        return PodState(name, scheduled.get("reason") or UNSCHEDULABLE, scheduled.get("message") or "")
    troubles = [*_troubles_of(before), *_troubles_of(main)]
    first = troubles[0] if troubles else ("NotReady" if status.get("phase") == "Running" else "Pending", "")
    reason, message = next((one for one in troubles if one[0] not in NORMAL_AT_FIRST), first)
    return PodState(name, reason, message, restarted_at)


def _troubles_of(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Reason and message of each container that is not ready (an init container is when it is done)."""
    for container in containers:
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if container.get("ready"):
            continue
        if ended is not None and waiting.get("reason") in (None, CRASH_LOOP):
            # Between two ends it runs for a moment; that is the same trouble.
            yield CRASH_LOOP, _end_of(container["name"], ended)
        elif "running" in state:
            yield "NotReady", f"the container {container['name']} runs and is not ready"
        else:
            yield waiting.get("reason") or "ContainerCreating", waiting.get("message") or ""


def _end_of(container: str, ended: Mapping[str, Any]) -> str:
    code, reason = ended["exitCode"], ended.get("reason") or "Error"
    words = (ended.get("message") or "").strip()
    return f"the container {container} ended with exit code {code} ({reason}){words and ', saying: '}{words}"


def _restarted_at(containers: Iterable[Mapping[str, Any]]) -> float | None:
    running = (
        (container.get("state") or {}).get("running")
        for container in containers
        if container.get("restartCount")
    )
    return max((datetime.fromisoformat(one["startedAt"]).timestamp() for one in running if one), default=None)
