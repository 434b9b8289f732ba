"""What every kind of cluster offers, and what more than one of them needs for it."""

import shutil
from pathlib import Path
from typing import Protocol

from dev.errors import DevError
from dev.images import context
from dev.images.table import Image
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report


class Cluster(Protocol):
    kind: str

    def up(self, report: Report) -> str:
        """Have it running and its kubeconfig in `.cluster/kubeconfig`; what to say about it."""

    def down(self) -> str:
        """Remove what `up` made and wait until it is gone; what to say about it."""

    def problem(self) -> str:
        """Why it cannot be used now; empty when it can."""

    def reference(self, image: Image, references: dict[str, str]) -> str:
        """What the image with its present content is called; `references` has those that it is built on."""

    def build(self, image: Image, references: dict[str, str], report: Report) -> str:
        """Have the image built; what to say about it."""

    def load(self, image: Image, reference: str, report: Report) -> str:
        """Have the image in the cluster; what to say about it."""


def why_no_answer(checkout: Checkout) -> str:
    """What the API server of this checkout's kubeconfig lacks; empty when it is ready."""
    try:
        output(["kubectl", "--kubeconfig", checkout.kubeconfig, "get", "--raw", "/readyz"])
    except DevError as error:
        return error.why or error.what
    return ""


def images_below(image: Image, references: dict[str, str]) -> dict[str, str]:
    """The build arguments that say which images this one is built on."""
    return {argument: references[name] for argument, name in image.on.items()}


def content_tag(checkout: Checkout, image: Image, arguments: dict[str, str]) -> str:
    """The image's tag: a hash of all that it is made from."""
    return context.digest(checkout.root, checkout.root / image.dockerfile, arguments)


def write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def use_installed(program: str, checkout: Checkout, *, todo: str) -> None:
    """Let `.cluster/bin` name a program of the user's, where the local node has one that was built."""
    found = shutil.which(program)
    if found is None:
        raise DevError(f"{program} is not installed", todo=todo)
    checkout.bin.mkdir(parents=True, exist_ok=True)
    link = checkout.bin / program
    if Path(found) != link:
        link.unlink(missing_ok=True)
        link.symlink_to(found)
