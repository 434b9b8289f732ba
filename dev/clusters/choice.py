"""Which cluster this checkout uses, and a record of it, so that `down` removes exactly what `up` made."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable

from dev.clusters.cluster import Cluster
from dev.clusters.current import Current
from dev.clusters.kind import Kind
from dev.clusters.local import Local
from dev.errors import DevError
from dev.paths import Checkout

KINDS = ("current", "kind", "local")


def kind_to_use(checkout: Checkout, say: Callable[[str], None] = lambda _: None) -> str:
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
    return made or asked or _first_here(say)


def _first_here(say: Callable[[str], None]) -> str:
    if not docker_answers():
        return "local"
    if shutil.which("kind") is None:
        say("Docker is here, but the program kind is not: the local node is used")
        return "local"
    return "kind"


def open_cluster(checkout: Checkout, kind: str) -> Cluster:
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
