"""The example's manifests and the documentation fit the API, each other and the programs. Needs nothing.

The end-to-end tests apply the manifests to a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bullherd.api.queuejob import QueueJob
from correction_aggregation.cli import parser
from correction_aggregation.curate import Unusable
from correction_aggregation.schema import CorrectionRow
from correction_aggregation.settings import database_settings, target_settings

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "correction-aggregation"
DOCUMENTATION = (ROOT / "docs" / "correction-aggregation.md").read_text()
IMAGES = {"localhost/bullherd-postgres:dev", "localhost/bullherd-correction-aggregation:dev"}


def documents() -> list[dict[str, Any]]:
    return [
        document
        for file in sorted(EXAMPLES.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]


def one(kind: str) -> dict[str, Any]:
    (document,) = (document for document in documents() if document["kind"] == kind)
    return document


def pod_specs() -> Iterator[dict[str, Any]]:
    for document in documents():
        if "template" in document.get("spec", {}):
            yield document["spec"]["template"]["spec"]


def containers() -> list[dict[str, Any]]:
    return [
        container for pod in pod_specs() for container in pod.get("initContainers", []) + pod["containers"]
    ]


def environment(container: dict[str, Any]) -> dict[str, str]:
    """What the container would see, with the Secret's values."""
    secret = one("Secret")
    values = {}
    for variable in container.get("env", []):
        if "value" in variable:
            values[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            assert reference["name"] == secret["metadata"]["name"]
            values[variable["name"]] = secret["stringData"][reference["key"]]
    return values


def test_the_queuejob_is_valid() -> None:
    queuejob = QueueJob.parse(one("QueueJob"))
    assert queuejob.spec.queue.name == "correction-aggregation"


def test_images_are_the_names_that_the_documentation_tells_to_replace() -> None:
    assert {container["image"] for container in containers()} == IMAGES
    assert all(image in DOCUMENTATION for image in IMAGES)


def test_every_pod_passes_restricted_pod_security() -> None:
    for pod in pod_specs():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        allowed = {"name", "emptyDir", "persistentVolumeClaim"}
        assert all(set(volume) <= allowed for volume in pod.get("volumes", []))
    for container in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_volumes_that_are_mounted_exist() -> None:
    claim = one("PersistentVolumeClaim")["metadata"]["name"]
    worker = one("QueueJob")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in worker["volumes"]}
    assert volumes["training-data"]["persistentVolumeClaim"] == {"claimName": claim}
    assert {mount["name"] for mount in worker["containers"][0]["volumeMounts"]} == set(volumes)


def test_the_workers_environment_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = one("QueueJob")["spec"]["template"]["spec"]["containers"]
    for name, value in environment(container).items():
        monkeypatch.setenv(name, value)
    url = database_settings().url()
    service, stateful_set = one("Service"), one("StatefulSet")
    assert url.host == service["metadata"]["name"]
    assert url.port == service["spec"]["ports"][0]["port"]
    server = environment(stateful_set["spec"]["template"]["spec"]["containers"][0])
    assert (url.username, url.database) == (server["POSTGRES_USER"], server["POSTGRES_DB"])
    assert url.password == server["POSTGRES_PASSWORD"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert target_settings().training_data_url.removeprefix("file://") in mounts


def test_the_commands_of_the_job_exist() -> None:
    pod = one("Job")["spec"]["template"]["spec"]
    for container in pod["initContainers"] + pod["containers"]:
        program, *arguments = container["command"]
        assert program == "correction-aggregation"
        parser().parse_args(arguments)


def test_the_documentation_has_every_column_and_every_reason() -> None:
    for column in CorrectionRow.__table__.columns:
        assert f"| `{column.name}` |" in DOCUMENTATION
    for reason in Unusable:
        assert f"`{reason}`" in DOCUMENTATION
