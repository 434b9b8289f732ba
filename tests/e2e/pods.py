"""What pods of a namespace say, also those that are gone, and their sudden death.

How to use them::

    said = await logs.event("echo_job_start", jobId=item)     # a line of any pod's JSON log, past or to come
    said.pod                                                  # who said it
    logs.seen("worker_item_given_back")                       # all such lines so far
    kill_processes(pod)                                       # SIGKILL for every process in it
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.kubernetes import Body, Namespace

LINES_SHOWN = 60
FOR_EVER = 86_400.0


@dataclass(frozen=True)
class Said:
    """One line of JSON, and the pod that wrote it."""

    pod: str
    event: str
    fields: dict[str, Any]


class PodLogs:
    """Follows the log of every container in a namespace from its start: nothing is lost with a pod."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._events: list[Said] = []
        self._lines: defaultdict[str, list[str]] = defaultdict(list)
        self._followed: set[str] = set()
        self._news = asyncio.Condition()
        self._tasks = [asyncio.create_task(self._follow_all())]

    def seen(self, event: str, **fields: Any) -> list[Said]:
        """The lines with this event name and these fields so far."""
        return [one for one in self._events if one.event == event and fields.items() <= one.fields.items()]

    async def event(self, event: str, count: int = 1, limit: float = 30.0, **fields: Any) -> Said:
        """The ``count``-th such line, once there is one."""
        async with self._news:
            try:
                await asyncio.wait_for(
                    self._news.wait_for(lambda: len(self.seen(event, **fields)) >= count), limit
                )
                return self.seen(event, **fields)[count - 1]
            except TimeoutError:
                pass
        raise AssertionError(f"no pod logged {event} {fields} {count} times within {limit:g} s")

    def text(self) -> str:
        """The end of every pod's log, for a person."""
        parts = []
        for pod, lines in sorted(self._lines.items()):
            parts += [f"--- {pod}: last {LINES_SHOWN} of {len(lines)} lines", *lines[-LINES_SHOWN:]]
        return "\n".join(parts)

    async def close(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow_all(self) -> None:
        while True:
            await self._namespace.when(lambda: bool(self._unfollowed()), FOR_EVER)
            for pod, container, key in self._unfollowed():
                self._followed.add(key)
                self._tasks.append(asyncio.create_task(self._follow(pod, container)))

    def _unfollowed(self) -> list[tuple[str, str, str]]:
        """Containers that run or ran: (pod, container, what tells it from the one before)."""
        return [
            (pod["metadata"]["name"], status["name"], status["containerID"])
            for pod in self._namespace.all("Pod")
            for status in pod.get("status", {}).get("containerStatuses", [])
            if status.get("containerID")
            and "waiting" not in status["state"]
            and status["containerID"] not in self._followed
        ]

    async def _follow(self, pod: str, container: str) -> None:
        path = f"/api/v1/namespaces/{self._namespace.name}/pods/{pod}/log"
        response = await self._namespace.api.open("GET", path, container=container, follow="true")
        async for raw in response.content:
            line = raw.decode(errors="replace").rstrip()
            async with self._news:
                self._lines[pod].append(line)
                if line.startswith("{"):
                    # A process that is killed may leave half a line; it stays in the text.
                    with suppress(ValueError):
                        fields = json.loads(line)
                        self._events.append(Said(pod, str(fields.get("event")), fields))
                self._news.notify_all()


def kill_processes(pod: Body) -> None:
    """SIGKILL, at once, for every process of the pod's containers: none of them can say good-bye.

    From outside, because the first process of a container is immune to its own namespace's SIGKILL. The pods'
    processes must be on this machine, and we root: so it is with the local node and with kind.
    """
    uid = pod["metadata"]["uid"]
    found = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _belongs_to(folder, uid)]
    if not found:
        pytest.skip(
            f"the processes of the pod {pod['metadata']['name']} are not on this machine, or not for us"
        )
    for number in found:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _belongs_to(process: Path, uid: str) -> bool:
    """The kubelet gives each container a hosts file from the pod's folder, and the pause container none."""
    try:
        return f"/pods/{uid}/etc-hosts" in (process / "mountinfo").read_text()
    except OSError:  # it ended meanwhile
        return False


def leader(namespace: Namespace) -> str:
    """The operator pod that acts; empty while none does."""
    lease = namespace.current("Lease", "bullherd-operator")
    identity = str(lease["spec"].get("holderIdentity") or "") if lease else ""
    return identity.partition("_")[0]


def operators(namespace: Namespace) -> list[Body]:
    """The operator's pods, those that are on their way out included."""
    return [
        pod
        for pod in namespace.all("Pod")
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "operator"
    ]


def workers(namespace: Namespace, queuejob: str) -> list[Body]:
    """The worker pods of a QueueJob, those that are on their way out included."""
    return [
        pod
        for pod in namespace.all("Pod")
        if pod["metadata"].get("labels", {}).get("bullherd.dev/queuejob") == queuejob
    ]


def exit_code(pod: Body) -> int | None:
    """How its container ended; None while it runs, or if nobody told."""
    for status in pod["status"].get("containerStatuses", []):
        if ended := status["state"].get("terminated"):
            code: int = ended["exitCode"]
            return code
    return None
