"""The host's side of the node's network: a namespace joined to the host by a veth pair with a free /30.

Nothing is forwarded between the node and the rest of the world: pod and service addresses cannot leave the
machine, and the machine's network cannot reach the pods. The host talks to the node's one address.
"""

import fcntl
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.errors import DevError
from dev.node.layout import Layout, Link, free_link
from dev.process import output

CHOICE_LOCK = Path("/run/lock/bullherd-network")
"""Held while a /30 is chosen and set, so that two checkouts cannot choose the same one."""


def create(layout: Layout) -> Link:
    """Make namespace and veth pair; a failure on the way takes away what was made."""
    try:
        with _one_at_a_time():
            link = free_link(layout.checkout.short_id, _networks_in_use())
            _ip("netns", "add", layout.namespace)
            _ip("link", "add", layout.host_interface, "type", "veth", "peer", "name", layout.node_interface)
            _ip("addr", "add", f"{link.host}/30", "dev", layout.host_interface)
        Path(f"/proc/sys/net/ipv4/conf/{layout.host_interface}/forwarding").write_text("0")
        _ip("link", "set", layout.host_interface, "up")
        _ip("link", "set", layout.node_interface, "netns", layout.namespace)
        inside = ("-n", layout.namespace)
        _ip(*inside, "addr", "add", f"{link.node}/30", "dev", layout.node_interface)
        _ip(*inside, "link", "set", layout.node_interface, "up")
        _ip(*inside, "link", "set", "lo", "up")
        # Service addresses are rewritten after routing, so there must be a route, though it leads nowhere.
        _ip(*inside, "route", "add", "default", "via", link.host)
    except BaseException:
        remove(layout, limit=10)
        raise
    return link


def remove(layout: Layout, *, limit: float) -> None:
    """Take namespace and veth pair away and wait until the kernel has let go of them."""
    interface = Path("/sys/class/net") / layout.host_interface
    if interface.exists():
        _quietly("link", "del", layout.host_interface)
    if layout.namespace_file.exists():
        _quietly("netns", "del", layout.namespace)
    deadline = time.monotonic() + limit
    while interface.exists() or layout.namespace_file.exists():
        if time.monotonic() > deadline:
            raise DevError(
                f"the node's network is still there after {limit:.0f} s",
                why=f"interface {layout.host_interface}, namespace {layout.namespace}",
                todo=f"look with `ip netns pids {layout.namespace}` who still uses it",
            )
        time.sleep(0.05)


def _networks_in_use() -> Iterator[str]:
    """Every address and route of the host, as networks."""
    for interface in json.loads(output(["ip", "-j", "-4", "addr"]) or "[]"):
        for address in interface.get("addr_info", []):
            yield f"{address['local']}/{address['prefixlen']}"
    for route in json.loads(output(["ip", "-j", "-4", "route"]) or "[]"):
        if route["dst"] != "default":
            yield route["dst"]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    CHOICE_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with CHOICE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ip(*words: str) -> None:
    output(["ip", *words])


def _quietly(*words: str) -> None:
    """For removals: what is gone already is no failure, and the wait that follows sees what is not."""
    subprocess.run(["ip", *words], capture_output=True, check=False, timeout=30)
