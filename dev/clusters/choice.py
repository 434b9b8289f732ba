"""Which cluster this checkout uses, and a record of it, so that `down` removes exactly what `up` made."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dev.errors import DevError
from dev.images.table import Image
from dev.paths import Checkout
from dev.steps import Report

KINDS = ("current", "kind", "local")


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


def kind_to_use(checkout: Checkout) -> str:
    """The kind that was made already, if there is one; else the first that this machine has."""
    made = recorded(checkout)
    asked = (
        "current" if os.environ.get("BULLHERD_USE_CURRENT") == "1" else os.environ.get("BULLHERD_CLUSTER", "")
    )
    if asked and asked not in KINDS:
        raise DevError(f"BULLHERD_CLUSTER={asked} is no kind of cluster", todo=f"one of: {', '.join(KINDS)}")
    if made and asked and made != asked:
        raise DevError(
            f"this checkout has a cluster of kind {made}, and the environment asks for {asked}",
            todo="`make down` first",
        )
    return made or asked or ("kind" if docker_answers() else "local")


def open_cluster(checkout: Checkout, kind: str) -> Cluster:
    from dev.clusters.current import Current
    from dev.clusters.kind import Kind
    from dev.clusters.local import Local

    kinds: dict[str, Callable[[Checkout], Cluster]] = {"current": Current, "kind": Kind, "local": Local}
    return kinds[kind](checkout)


def recorded(checkout: Checkout) -> str | None:
    try:
        return str(json.loads(checkout.record.read_text())["kind"])
    except FileNotFoundError:
        return None


def record(checkout: Checkout, kind: str) -> None:
    """Written before the cluster is made: what was begun can be removed."""
    checkout.cluster.mkdir(exist_ok=True)
    checkout.record.write_text(json.dumps({"kind": kind}) + "\n")


def docker_answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


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
