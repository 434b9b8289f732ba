"""A cluster that the user has already (BULLHERD_USE_CURRENT=1): used, and never made or removed."""

import os
import shutil
import subprocess

from dev.clusters.choice import use_installed, write_private
from dev.errors import DevError
from dev.images import context
from dev.images.table import Image
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report

REGISTRY = "BULLHERD_IMAGE_REGISTRY"


class Current:
    kind = "current"

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout

    def up(self, report: Report) -> str:
        use_installed("kubectl", self._checkout, todo="install it and point KUBECONFIG at your cluster")
        config = output(["kubectl", "config", "view", "--raw", "--minify", "--flatten"])
        write_private(self._checkout.kubeconfig, config)
        if problem := self.problem():
            raise DevError(
                "the current cluster does not answer", why=problem, todo="see `kubectl cluster-info`"
            )
        return output(["kubectl", "config", "current-context"]).strip()

    def down(self) -> str:
        return "only what was noted about it here: the cluster is yours and stays"

    def problem(self) -> str:
        try:
            output(["kubectl", "--kubeconfig", self._checkout.kubeconfig, "get", "--raw", "/readyz"])
        except DevError as error:
            return error.why or error.what
        return ""

    def reference(self, image: Image, references: dict[str, str]) -> str:
        registry = os.environ.get(REGISTRY, "").rstrip("/")
        if not registry:
            raise DevError(
                "images for your own cluster need a registry that it can pull from",
                todo=f"set {REGISTRY} (for example registry.example.com/bullherd), and run this again",
            )
        arguments = {argument: references[name] for argument, name in image.on.items()}
        tag = context.digest(self._checkout.root, self._checkout.root / image.dockerfile, arguments)
        return f"{registry}/{image.name}:{tag}"

    def build(self, image: Image, references: dict[str, str], report: Report) -> str:
        """Building and pushing is the user's, who has the rights; this looks whether it was done."""
        reference = references[image.name]
        if _in_registry(reference):
            return f"found {reference}"
        arguments = "".join(
            f"--build-arg {argument}={references[name]} " for argument, name in image.on.items()
        )
        raise DevError(
            f"the registry has no {reference}",
            todo=f"docker build {arguments}-t {reference} -f {image.dockerfile} .\n"
            f"    docker push {reference}",
        )

    def load(self, image: Image, reference: str, report: Report) -> str:
        return "pulled by the cluster"


def _in_registry(reference: str) -> bool:
    """Ask with docker, which has the user's credentials; without it the user is believed."""
    if shutil.which("docker") is None:
        return True
    done = subprocess.run(
        ["docker", "manifest", "inspect", reference], capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0
