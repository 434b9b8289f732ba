"""Names, addresses and paths of a node: pure, from the checkout and the addresses already in use."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import Checkout

NODE_NAME = "bullherd"
POD_RANGE = "10.244.0.0/16"
NODE_POD_RANGE = "10.244.0.0/22"
"""1,000 pod addresses. Pod and service ranges exist only inside the namespace: all nodes use the same."""
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
API_PORT = 6443
LINK_RANGE = ipaddress.IPv4Network("172.30.0.0/16")
"""The /30 between host and node comes from here: the one range that the host itself sees."""
PAUSE_IMAGE = "localhost/pause:1"


@dataclass(frozen=True)
class Link:
    """The two usable addresses of a /30."""

    host: str
    node: str


def free_link(short_id: str, in_use: Iterable[str]) -> Link:
    """A /30 that overlaps no network in use; where the search starts depends on the checkout.

    So a node mostly gets the address it had before, and two nodes rarely look at the same one.
    """
    taken = [ipaddress.IPv4Network(text, strict=False) for text in in_use]
    subnets = list(LINK_RANGE.subnets(new_prefix=30))
    start = int(short_id, 16) % len(subnets)
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(network) for network in taken):
            host, node = subnet.hosts()
            return Link(str(host), str(node))
    raise DevError(
        f"no free /30 is left in {LINK_RANGE}",
        why="every part of it overlaps an address or route of this machine",
        todo="see `ip addr` and `ip route`; remove what is not needed any more",
    )


@dataclass(frozen=True)
class Layout:
    """Everything about a node that has a name."""

    checkout: Checkout

    @property
    def namespace(self) -> str:
        return f"bullherd-{self.checkout.short_id}"

    @property
    def namespace_file(self) -> Path:
        return Path("/run/netns") / self.namespace

    @property
    def host_interface(self) -> str:
        """At most 15 characters, the kernel's limit."""
        return f"bh{self.checkout.short_id}h"

    @property
    def node_interface(self) -> str:
        return f"bh{self.checkout.short_id}n"

    @property
    def cgroup(self) -> str:
        """Its own, since a kubelet ends pods below its root that it does not know."""
        return f"bullherd-{self.checkout.short_id}"

    @property
    def state(self) -> Path:
        return self.checkout.node

    @property
    def programs(self) -> Path:
        return self.checkout.bin

    @property
    def settings(self) -> Path:
        """What the supervisor is told (see `supervisor.Settings`)."""
        return self.state / "node.json"

    @property
    def process(self) -> Path:
        """Process id and start time of the node's outermost process."""
        return self.state / "process.json"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pause_archive(self) -> Path:
        return self.state / "pause.tar"

    @property
    def volumes(self) -> Path:
        """The data of PersistentVolumes."""
        return self.state / "volumes"

    def kubeconfig(self, user: str) -> Path:
        return self.config / f"{user}.kubeconfig"
