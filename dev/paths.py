"""Where things are: the checkout, what was made for it (`.cluster/`), the cache that all checkouts share."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """One working copy of the project. Two of them can have their clusters up at the same time."""

    root: Path

    @cached_property
    def short_id(self) -> str:
        """Eight hex digits from the path: part of every name that the machine must not see twice."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def cluster(self) -> Path:
        """All that was made for this checkout's cluster; not under version control."""
        return self.root / ".cluster"

    @property
    def kubeconfig(self) -> Path:
        return self.cluster / "kubeconfig"

    @property
    def record(self) -> Path:
        """Says which kind of cluster was made, so that `down` removes exactly that."""
        return self.cluster / "cluster.json"

    @property
    def images(self) -> Path:
        """Image name -> reference that the cluster can start."""
        return self.cluster / "images.json"

    @property
    def logs(self) -> Path:
        return self.cluster / "logs"

    @property
    def bin(self) -> Path:
        """Links to the programs in the cache: kubectl, helm, …"""
        return self.cluster / "bin"

    @property
    def node(self) -> Path:
        """State of the local node."""
        return self.cluster / "node"


def this_checkout() -> Checkout:
    return Checkout(Path(__file__).resolve().parent.parent)


def cache() -> Path:
    """What is slow to make and the same for every checkout: programs built from source, base images."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bullherd"
