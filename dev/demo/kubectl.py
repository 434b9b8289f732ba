"""kubectl against this checkout's cluster, for the steps of the demo."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.demo.diagnosis import crashed, hopeless, troubles
from dev.demo.port_forward import port_forward
from dev.errors import DevError
from dev.images import publish
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report

Body = dict[str, Any]

LOOK_AT_PODS = 2.0
LOG_LINES = 8


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

    def get(self, *words: str) -> Body:
        """An object, as JSON; DevError when there is none."""
        parsed: Body = json.loads(output(self.command("get", *words, "--output=json")))
        return parsed

    def find(self, *words: str) -> Body | None:
        """An object, or None when there is none."""
        text = output(self.command("get", *words, "--output=json", "--ignore-not-found"))
        return json.loads(text) if text.strip() else None

    def apply(self, report: Report, manifest: Path) -> None:
        """Apply a file of examples/, with its `…:dev` images replaced by those that the cluster has."""
        filled = self._checkout.cluster / "demo" / manifest.name
        filled.parent.mkdir(parents=True, exist_ok=True)
        filled.write_text(with_images(manifest.read_text(), publish.read(self._checkout)))
        report.run(self.command("apply", "--filename", filled), limit=60)

    def until(
        self,
        report: Report,
        what: str,
        check: Callable[[], bool],
        *,
        pods: str,
        limit: float,
        todo: str = "",
    ) -> None:
        """Wait for what certain pods, whose names begin with `pods`, bring about; no longer when they cannot.

        Pods that could not start before, under an earlier manifest, are deleted first: not every controller
        replaces them.
        """
        if old := [pod for pod, _ in self._hopeless(pods)]:
            report.run(self.command("delete", "pod", *old, "--ignore-not-found"), limit=60)
        look_next = time.monotonic() + LOOK_AT_PODS

        def look() -> bool:
            nonlocal look_next
            if check():
                return True
            if time.monotonic() >= look_next:
                look_next = time.monotonic() + LOOK_AT_PODS
                if self._hopeless(pods):
                    raise DevError(f"{what}: this will not happen, a pod cannot start", todo=todo)
            return False

        report.until(what, look, limit=limit, todo=todo)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add to a failure what the cluster knows about its cause."""
        try:
            yield
        except DevError as error:
            known = [line for line in self._known() if line.strip() not in error.why]
            error.why = "\n".join(filter(None, (error.why, *known)))
            raise

    @contextmanager
    def port_forward(self, service: str, port: int) -> Iterator[int]:
        """A port on loopback that leads to a service, for as long as the context lasts."""
        command = self.command("port-forward", f"service/{service}", f":{port}")
        with port_forward(command, f"the service {service} in {self.namespace}") as local:
            yield local

    def _known(self) -> Iterator[str]:
        """Lines about what is wrong; the explanation of a failure must not fail itself."""
        try:
            pods = self._list("pods")
            yield from troubles(pods, self._list("queuejobs"))
            for pod, container in crashed(pods):
                log = self.command("logs", pod, f"--container={container}", f"--tail={LOG_LINES}")
                yield f"the last lines of {pod}:"
                yield from (f"  {line}" for line in output(log).splitlines())
        except DevError:
            return

    def _hopeless(self, prefix: str) -> list[tuple[str, str]]:
        pods = (pod for pod in self._list("pods") if pod["metadata"]["name"].startswith(prefix))
        return hopeless(pods)

    def _list(self, kind: str) -> list[Body]:
        items: list[Body] = self.get(kind)["items"]
        return items


def with_images(manifest: str, references: Mapping[str, str]) -> str:
    """`localhost/NAME:dev` in the examples stands for whatever the cluster knows the image as."""
    return re.sub(r"localhost/([a-z-]+):dev", lambda found: references.get(found[1], found[0]), manifest)
