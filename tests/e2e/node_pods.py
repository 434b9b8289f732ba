"""QueueJobs whose workers are node_worker.mjs, in pods, with bullmq 5 or 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.e2e.echo import echo_queuejob
from tests.fixtures.kubernetes import Body
from tests.fixtures.node import Major, install


def node_image(images: Mapping[str, str]) -> str:
    """That of node_worker.Dockerfile, which holds both majors."""
    install("v5")
    install("v6")
    return images["bullherd-node-worker"]


def node_queuejob(name: str, image: str, major: Major, **arguments: Any) -> Body:
    """Like ``echo_queuejob``, and its items may say the same."""
    body = echo_queuejob(name, image, **arguments)
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container["args"] = [f"/app/{major}"]
    del container["ports"], container["readinessProbe"]
    return body
