"""What the node must not share with the host's file system, mounted over inside the node's mount namespace.

Programs of Kubernetes and containerd write to a few fixed places. Giving the node its own of each lets
several nodes, and a containerd of the host, live side by side; and all of it goes when the node's last
process ends.
"""

import subprocess
from pathlib import Path

from dev.node.layout import Layout

PRIVATE = (Path("/run"), Path("/var/log"), Path("/var/lib/cni"))
"""Empty and in memory: sockets, the iptables lock, pods' network namespaces, links to pods' logs."""

KUBELET_ROOT = Path("/var/lib/kubelet")
POD_LOGS = Path("/var/log/pods")
CONTAINERD_ROOT = Path("/var/lib/containerd")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
PROVISIONED = Path("/tmp/hostpath_pv")
"""Where the controller manager's host-path provisioner makes the directories of PersistentVolumes."""


def set_up(layout: Layout) -> None:
    for private in PRIVATE:
        private.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", "mode=755", "bullherd", str(private))
    for name in ("netns", "lock", "containerd"):
        (Path("/run") / name).mkdir()
    for place, ours in (
        (KUBELET_ROOT, layout.state / "kubelet"),
        (CONTAINERD_ROOT, layout.state / "containerd"),
        (POD_LOGS, layout.logs / "pods"),
        (PROVISIONED, layout.volumes),
    ):
        place.mkdir(parents=True, exist_ok=True)
        ours.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(ours), str(place))
    # The kubelet hands mounts on to pods and must see those that appear later.
    _mount("--make-rshared", "/")


def on_overlay(path: Path) -> bool:
    """Whether the directory is itself on an overlay file system, which cannot carry another one."""
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip() == "overlayfs"


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, timeout=30)
