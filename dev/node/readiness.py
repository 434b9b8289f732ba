"""How the supervisor knows that a component is ready to be used by the next one."""

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from dev.node import mounts
from dev.node.components import ETCD
from dev.node.layout import API_PORT, PAUSE_IMAGE, Layout

PROBE_LIMIT = 2


def checks(layout: Layout) -> Mapping[str, Callable[[], bool]]:
    """Only components that others wait for have one."""
    return {
        "etcd": lambda: answers(f"{ETCD}/health"),
        "kube-apiserver": lambda: answers(f"https://127.0.0.1:{API_PORT}/readyz"),
        "containerd": lambda: _pause_image_is_there(layout),
    }


def answers(url: str) -> bool:
    """Whether the URL says 200. Certificates are not looked at: this asks whether it is up, not who it is."""
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, timeout=PROBE_LIMIT, context=context) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _pause_image_is_there(layout: Layout) -> bool:
    """A socket file may be an old one: ready is who has, or takes, the image that every pod needs."""
    ctr = ["ctr", "--address", str(mounts.CONTAINERD_SOCKET), "--namespace", "k8s.io", "images"]
    try:
        listed = subprocess.run(
            [*ctr, "list", "-q"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
        if PAUSE_IMAGE in listed.split():
            return True
        imported = subprocess.run(
            [*ctr, "import", str(layout.pause_archive)], capture_output=True, timeout=20, check=False
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return imported.returncode == 0
