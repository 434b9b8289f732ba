"""QueueJobs whose workers are the project's own image with the kind ``echo``: the items say what they do."""

from __future__ import annotations

from typing import Any

from tests.fixtures.kubernetes import Body

LOCK_S = 4
"""A dead worker's items come back after this and two stalled checks; nobody waits for BullMQ's 30 s here."""

WORKER_SETTINGS = {
    "JOB_KIND": "echo",
    "WORKER_LOG_FORMAT": "json",
    "WORKER_LOCK_DURATION": str(LOCK_S * 1000),
    "WORKER_STALLED_INTERVAL": "1000",
}


def echo_queuejob(
    name: str,
    image: str,
    *,
    concurrency: int = 1,
    connection: str = "default",
    settings: dict[str, str] | None = None,
    pod: Body | None = None,
    **scaling: Any,
) -> Body:
    """The queue is called like the QueueJob; ``scaling`` has the API's names, ``pod`` adds to its spec."""
    container = {
        "name": "worker",
        "image": image,
        "env": [{"name": key, "value": value} for key, value in (WORKER_SETTINGS | (settings or {})).items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: Body = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        **(pod or {}),
    }
    return {
        "apiVersion": "bullherd.dev/v1alpha1",
        "kind": "QueueJob",
        "metadata": {"name": name},
        "spec": {
            "queue": {"name": name},
            "redis": {"connection": connection},
            "concurrency": concurrency,
            "scaling": {"cooldownSeconds": 1, **scaling},
            "template": {"spec": spec},
        },
    }
