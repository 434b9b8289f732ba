"""What `helm template` makes of the chart, as parsed documents that tests can ask about."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "bullherd"

Document = dict[str, Any]


class HelmError(Exception):
    """helm ended with an error; the text is what it said."""


def helm_program() -> str:
    """The project's own helm if `make cluster` built one, else the one on the PATH."""
    path = os.pathsep.join([str(ROOT / ".cluster" / "bin"), os.environ.get("PATH", "")])
    found = shutil.which("helm", path=path)
    if not found:
        raise HelmError("helm is not installed: run `make cluster`, which builds it, or install helm 4")
    return found


def run_helm(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [helm_program(), *arguments], input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


@dataclass(frozen=True)
class Rendered:
    documents: list[Document]

    def of_kind(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        found = [
            document
            for document in self.of_kind(kind)
            if document["metadata"]["name"] == name
            and namespace in (None, document["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} of {kind} {namespace or ''}/{name}, not one"
        return found[0]

    def secret(self, name: str, namespace: str = "bullherd") -> dict[str, str]:
        """A Secret's data as texts."""
        data = self.get("Secret", name, namespace).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def connection(self, name: str) -> Document:
        """The connection file that the operator reads."""
        file: Document = yaml.safe_load(self.secret("bullherd-connections")[f"{name}.yaml"])
        return file

    def container(self, component: str) -> Document:
        """The one container of the operator's or the server's pods."""
        spec = self.get("Deployment", f"bullherd-{component}")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        found: Document = container
        return found

    def environment(self, component: str) -> dict[str, str]:
        """Its environment by name."""
        variables = self.container(component)["env"]
        return {entry["name"]: entry.get("value", "from the pod") for entry in variables}

    def granted(self, kind: str, name: str, namespace: str | None = None) -> dict[tuple[str, str], set[str]]:
        """What a role allows: (API group, resource or resource/the only names) to verbs."""
        return {
            (group, "/".join([resource, *rule.get("resourceNames", [])])): set(rule["verbs"])
            for rule in self.get(kind, name, namespace)["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }

    def pod_specs(self) -> Iterator[tuple[str, Document]]:
        for document in self.documents:
            name = f"{document['kind']}/{document['metadata']['name']}"
            if document["kind"] == "Pod":
                yield name, document["spec"]
            elif "template" in document.get("spec", {}):
                yield name, document["spec"]["template"]["spec"]


def render(
    values: Document | None = None, *, release: str = "bullherd", namespace: str = "bullherd"
) -> Rendered:
    """All documents of the chart under these values, tests included. Raises HelmError."""
    text = run_helm(
        "template",
        release,
        str(CHART),
        "--namespace",
        namespace,
        "--values",
        "-",
        stdin=yaml.safe_dump(values or {}),
    )
    return Rendered([document for document in yaml.safe_load_all(text) if document])


def notes(values: Document | None = None) -> str:
    """What a person reads after the install."""
    text = run_helm(
        "install", "bullherd", str(CHART), "--namespace", "bullherd", "--dry-run=client", "--values", "-",
        stdin=yaml.safe_dump(values or {}),
    )  # fmt: skip
    return text.partition("\nNOTES:\n")[2]
