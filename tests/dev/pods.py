"""Pods of a test's own node. The only image in it is the one that holds pods open, and that is a busybox."""

import json
from pathlib import Path
from typing import Any

from dev.node.layout import PAUSE_IMAGE, Layout
from dev.process import output

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Pods:
    def __init__(self, layout: Layout) -> None:
        self.command: list[str | Path] = [
            layout.programs / "kubectl", "--kubeconfig", layout.kubeconfig("admin"),
        ]  # fmt: skip
        self._scratch = layout.checkout.root / "manifest.json"

    def kubectl(self, *words: str, limit: float = 90) -> str:
        return output([*self.command, *words], limit=limit)

    def apply(self, *manifests: dict[str, Any]) -> None:
        self._scratch.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))
        self.kubectl("apply", "-f", str(self._scratch))

    def run(self, name: str, script: str, **spec: Any) -> None:
        """A pod labelled `app: name` whose one container runs a shell script of busybox's."""
        mounts = spec.pop("mounts", [])
        container = {
            "name": "main",
            "image": PAUSE_IMAGE,
            "command": ["/busybox", "sh", "-c", f"{script}"],
            "securityContext": RESTRICTED,
            "volumeMounts": mounts,
        }
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
            }
        )

    def wait(self, name: str, condition: str) -> None:
        self.kubectl("wait", f"pod/{name}", f"--for={condition}", "--timeout=60s")
