"""A cluster that the user has already (BULLHERD_USE_CURRENT=1): used, and never made or removed.

What the demo installs there is removed again. The CRD stays, because deleting it would delete everybody's
QueueJobs; so does the release's namespace, in which the user may have more.
"""

import os
import shutil
import subprocess

from dev.clusters.cluster import content_tag, images_below, use_installed, why_no_answer, write_private
from dev.demo.steps import NAMESPACE, OPERATOR_NAMESPACE, RELEASE
from dev.errors import DevError
from dev.images.table import Image
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report

REGISTRY = "BULLHERD_IMAGE_REGISTRY"
REMOVAL_LIMIT = 180


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
        noted = "what was noted about your cluster here"
        if not (self._checkout.cluster / "demo").exists():
            return f"{noted}; in the cluster, the demo had made nothing"
        self._kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
        self._uninstall_release()
        return (
            f"{noted}; in the cluster, the release {RELEASE} and the namespace {NAMESPACE}. "
            f"The CRD queuejobs.bullherd.dev and the namespace {OPERATOR_NAMESPACE} stay"
        )

    def problem(self) -> str:
        return why_no_answer(self._checkout)

    def reference(self, image: Image, references: dict[str, str]) -> str:
        registry = os.environ.get(REGISTRY, "").rstrip("/")
        if not registry:
            raise DevError(
                "images for your own cluster need a registry that it can pull from",
                todo=f"set {REGISTRY} (for example registry.example.com/bullherd), and run this again",
            )
        tag = content_tag(self._checkout, image, images_below(image, references))
        return f"{registry}/{image.name}:{tag}"

    def build(self, image: Image, references: dict[str, str], report: Report) -> str:
        """Building and pushing is the user's, who has the rights; this looks whether it was done."""
        reference = references[image.name]
        if _in_registry(reference):
            return f"found {reference}"
        arguments = "".join(
            f"--build-arg {name}={value} " for name, value in images_below(image, references).items()
        )
        raise DevError(
            f"the registry has no {reference}",
            todo=f"docker build {arguments}-t {reference} -f {image.dockerfile} .\n"
            f"    docker push {reference}",
        )

    def load(self, image: Image, reference: str, report: Report) -> str:
        return "pulled by the cluster"

    def _uninstall_release(self) -> None:
        """With the volume of its Redis, which Helm keeps; the demo's items were the only ones in it."""
        helm = self._checkout.bin / "helm"
        if not helm.exists():  # the demo ended before it could install anything
            return
        place = ("--namespace", OPERATOR_NAMESPACE)
        kubeconfig = ("--kubeconfig", self._checkout.kubeconfig)
        waits = ("--ignore-not-found", "--wait")
        output(
            [helm, "uninstall", RELEASE, *place, *kubeconfig, *waits, "--timeout=150s"], limit=REMOVAL_LIMIT
        )
        self._kubectl("delete", "pvc", f"{RELEASE}-redis", *place, *waits)

    def _kubectl(self, *words: str) -> None:
        output(["kubectl", "--kubeconfig", self._checkout.kubeconfig, *words], limit=REMOVAL_LIMIT)


def _in_registry(reference: str) -> bool:
    """Ask with docker, which has the user's credentials; without it the user is believed."""
    if shutil.which("docker") is None:
        return True
    done = subprocess.run(
        ["docker", "manifest", "inspect", reference], capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0
