"""What the cluster knows about why something does not come about, in lines for a person.

Everything here is a function of objects as the API server gives them; `dev.demo.kubectl` gets them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]

HOPELESS = frozenset(
    {
        "CreateContainerConfigError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
    }
)
"""Reasons for which a container that waits will wait for ever: the demo's images are loaded, not pulled."""

SETTLING = frozenset({"ContainerCreating", "PodInitializing"})


def condition(body: Body, type_: str) -> str:
    """The status of a condition; Unknown when there is none."""
    return str(_condition(body, type_).get("status", "Unknown"))


def rolled_out(body: Body) -> bool:
    """Whether a Deployment or StatefulSet runs as it is written: all its pods ready, no old ones left."""
    status, wanted = body.get("status", {}), body["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < body["metadata"]["generation"]:
        return False
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas"))
    return all(count == wanted for count in counts)


def hopeless(pods: Iterable[Body]) -> list[tuple[str, str]]:
    """Containers that will never start: (pod, container). Empty while there is hope."""
    return [
        (pod["metadata"]["name"], status["name"])
        for pod in pods
        for status, waiting in _waiting(pod)
        if waiting.get("reason") in HOPELESS and "deletionTimestamp" not in pod["metadata"]
    ]


def troubles(pods: Iterable[Body], queuejobs: Iterable[Body] = ()) -> list[str]:
    """Everything that is not as it should be, one line each; what pods have in common only once."""
    sufferers: dict[str, list[str]] = {}
    for pod in pods:
        for trouble in _of_pod(pod):
            sufferers.setdefault(trouble, []).append(pod["metadata"]["name"])
    lines = [f"{_counted(names)}: {trouble}" for trouble, names in sufferers.items()]
    return lines + [
        f"QueueJob {queuejob['metadata']['name']}: {found.get('reason')}: {found.get('message')}"
        for queuejob in queuejobs
        if (found := _condition(queuejob, "Ready")) and found["status"] != "True"
    ]


def crashed(pods: Iterable[Body]) -> list[tuple[str, str]]:
    """Containers that ended with an error, the last time that they ran: (pod, container)."""
    return [
        (pod["metadata"]["name"], status["name"])
        for pod in pods
        for status in _statuses(pod)
        if _exit_code(status)
    ]


def _counted(names: Sequence[str]) -> str:
    return f"pod {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _of_pod(pod: Body) -> list[str]:
    troubles = [
        f"container {status['name']} waits: {waiting.get('reason', 'no reason given')}{_why(waiting)}"
        for status, waiting in _waiting(pod)
        if waiting.get("reason") not in SETTLING
    ]
    troubles += [
        f"container {status['name']} ended with {code}"
        for status in _statuses(pod)
        if (code := _exit_code(status))
    ]
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        troubles.append(f"has no node: {scheduled.get('message', '')}")
    if not troubles and pod.get("status", {}).get("phase") == "Pending":
        troubles.append("has not started yet")
    return troubles


def _statuses(pod: Body) -> Sequence[Body]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _waiting(pod: Body) -> list[tuple[Body, Body]]:
    return [(one, one["state"]["waiting"]) for one in _statuses(pod) if "waiting" in one.get("state", {})]


def _why(waiting: Body) -> str:
    return f": {waiting['message']}" if waiting.get("message") else ""


def _exit_code(status: Body) -> int:
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    return int(ended.get("exitCode", 0))


def _condition(body: Body, type_: str) -> Body:
    conditions = body.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})
