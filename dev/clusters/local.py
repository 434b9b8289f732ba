"""The local node as a cluster, its images built by buildah and imported into its containerd."""

import os
import tempfile
from pathlib import Path

from dev import programs
from dev.clusters.cluster import content_tag, images_below
from dev.errors import DevError
from dev.images import base
from dev.images.buildah import Buildah
from dev.images.table import Image
from dev.node import lifecycle
from dev.node.layout import Layout
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report

CTR = ("ctr", "--namespace", "k8s.io", "images")


class Local:
    kind = "local"

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._layout = Layout(checkout)

    def up(self, report: Report) -> str:
        require_root()
        programs.link(self._checkout, ("kube", "coredns"))
        started = lifecycle.up(
            self._layout, cancel=report.cancel, say=lambda text: report.progress(note=text)
        )
        return "one node of its own, new" if started else "was running already"

    def down(self) -> str:
        require_root()
        lifecycle.down(self._layout)
        return "the local node"

    def problem(self) -> str:
        return lifecycle.look(self._layout).problem

    def reference(self, image: Image, references: dict[str, str]) -> str:
        tag = content_tag(self._checkout, image, self._arguments(image, references))
        return f"localhost/{image.name}:{tag}"

    def build(self, image: Image, references: dict[str, str], report: Report) -> str:
        buildah = Buildah(report)
        reference = self.reference(image, references)
        if buildah.has(reference):
            return "unchanged"
        arguments = self._arguments(image, references)
        buildah.build(reference, self._checkout.root / image.dockerfile, self._checkout.root, arguments)
        return reference

    def load(self, image: Image, reference: str, report: Report) -> str:
        listed = output(lifecycle.enter(self._layout, [*CTR, "list", "-q"]))
        if reference in listed.split():
            return "is there"
        with tempfile.TemporaryDirectory(prefix="bullherd-") as folder:
            archive = Path(folder) / "image.tar"
            report.progress(note="exports it")
            Buildah(report).export(reference, archive)
            report.progress(note="imports it")
            report.run(lifecycle.enter(self._layout, [*CTR, "import", archive]), limit=300)
        return reference

    def _arguments(self, image: Image, references: dict[str, str]) -> dict[str, str]:
        given = images_below(image, references)
        if image.base_argument:
            given[image.base_argument] = base.reference()
        return given


def require_root() -> None:
    if os.geteuid() != 0:
        raise DevError(
            "the local node needs root",
            why="it makes network namespaces, mounts and control groups",
            todo="run make as root (sudo make …), or install Docker and kind",
        )
