"""kubectl and helm against this checkout's cluster, for the steps of the demo."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.images import publish
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report


class Kubectl:
    """One namespace of the cluster."""

    def __init__(self, checkout: Checkout, namespace: str) -> None:
        self._checkout = checkout
        self.namespace = namespace
        self._program = checkout.bin / "kubectl"

    @property
    def environment(self) -> Mapping[str, str]:
        """For programs that look for a cluster themselves."""
        return {"KUBECONFIG": str(self._checkout.kubeconfig)}

    def command(self, *words: str | Path) -> list[str | Path]:
        return [
            self._program,
            f"--kubeconfig={self._checkout.kubeconfig}",
            f"--namespace={self.namespace}",
            *words,
        ]

    def get(self, *words: str) -> dict[str, Any]:
        """An object, as JSON; DevError when there is none."""
        parsed: dict[str, Any] = json.loads(output(self.command("get", *words, "--output=json")))
        return parsed

    def apply(self, report: Report, manifest: Path) -> None:
        """Apply a file of examples/, with its `…:dev` images replaced by those that the cluster has."""
        filled = self._checkout.cluster / "demo" / manifest.name
        filled.parent.mkdir(parents=True, exist_ok=True)
        filled.write_text(with_images(manifest.read_text(), publish.read(self._checkout)))
        report.run(self.command("apply", "--filename", filled), limit=60)

    @contextmanager
    def port_forward(self, service: str, port: int) -> Iterator[int]:
        """A port on loopback that leads to a service, for as long as the context lasts."""
        forward = subprocess.Popen(
            [str(word) for word in self.command("port-forward", f"service/{service}", f":{port}")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield _forwarded_port(forward, service)
        finally:
            forward.terminate()
            forward.wait()


def with_images(manifest: str, references: Mapping[str, str]) -> str:
    """`localhost/NAME:dev` in the examples stands for whatever the cluster knows the image as."""
    return re.sub(r"localhost/([a-z-]+):dev", lambda found: references.get(found[1], found[0]), manifest)


def _forwarded_port(forward: subprocess.Popen[str], service: str) -> int:
    assert forward.stdout is not None
    said = []
    for line in forward.stdout:
        if found := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", line):
            return int(found[1])
        said.append(line)
    raise DevError(f"no way into the service {service}", why="".join(said), todo="make status")
