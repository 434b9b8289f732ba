"""The node's components: command line and configuration of each, and what each waits for. Pure.

Where a flag is not an obvious one, the comment beside it says why it is there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dev.node import mounts
from dev.node.layout import (
    API_PORT,
    NODE_NAME,
    NODE_POD_RANGE,
    PAUSE_IMAGE,
    POD_RANGE,
    SERVICE_RANGE,
    Layout,
    Link,
)

ETCD = "http://127.0.0.1:2379"
KUBE_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
"""Names under which the one binary of dev/go/kube is linked; it acts on the name it was called by."""


@dataclass(frozen=True)
class Component:
    """A program that runs as long as the node does. `after` names those that must be ready first."""

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def components(layout: Layout, link: Link) -> tuple[Component, ...]:
    return (
        Component("etcd", _etcd(layout)),
        Component("containerd", ("containerd", "--config", str(layout.config / "containerd.toml"))),
        Component("kube-apiserver", _apiserver(layout, link), after=("etcd",)),
        Component("kube-controller-manager", _controller_manager(layout), after=("kube-apiserver",)),
        Component("kube-scheduler", _scheduler(layout), after=("kube-apiserver",)),
        Component("kubelet", _kubelet(layout, link), after=("kube-apiserver", "containerd")),
        Component(
            "kube-proxy",
            (str(layout.programs / "kube-proxy"), f"--config={layout.config / 'proxy.json'}"),
            after=("kube-apiserver",),
        ),
        Component(
            "coredns",
            (str(layout.programs / "coredns"), "-conf", str(layout.config / "Corefile")),
            ("kube-apiserver",),
        ),
    )


def write_configuration(layout: Layout, link: Link) -> None:
    layout.config.mkdir(parents=True, exist_ok=True)
    snapshotter = "native" if mounts.on_overlay(layout.state) else "overlayfs"
    files = {
        "containerd.toml": containerd_toml(snapshotter, cni=layout.config / "cni"),
        "kubelet.json": json.dumps(_kubelet_config(layout, link), indent=2),
        "proxy.json": json.dumps(_proxy_config(layout), indent=2),
        "Corefile": _corefile(layout, link),
        "resolv.conf": "",
        "cni/bullherd.conflist": json.dumps(_pod_network(), indent=2),
    }
    for name, text in files.items():
        path = layout.config / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _etcd(layout: Layout) -> tuple[str, ...]:
    return (
        str(layout.programs / "etcd"),
        f"--name={NODE_NAME}",
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        f"--initial-cluster={NODE_NAME}=http://127.0.0.1:2380",
        # A node never starts again on old state, so nothing has to survive a power cut; writes are 10 times
        # faster.
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    )


def _apiserver(layout: Layout, link: Link) -> tuple[str, ...]:
    pki = layout.pki
    return (
        str(layout.programs / "kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--secure-port={API_PORT}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={link.node}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Aggregated APIs: who may speak for a user, and with which certificate we speak to the extension
        # server.
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--enable-aggregator-routing=true",
        # logs, exec and port-forward go from here to the kubelet.
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    )


def _controller_manager(layout: Layout) -> tuple[str, ...]:
    kubeconfig = layout.kubeconfig("controller-manager")
    pki = layout.pki
    return (
        str(layout.programs / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--allocate-node-cidrs",
        f"--cluster-cidr={POD_RANGE}",
        "--node-cidr-mask-size=22",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        # The default StorageClass (manifests.json) asks this provisioner for directories; see
        # mounts.PROVISIONED.
        "--enable-hostpath-provisioner",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    )


def _scheduler(layout: Layout) -> tuple[str, ...]:
    kubeconfig = layout.kubeconfig("scheduler")
    return (
        str(layout.programs / "kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    )


def _kubelet(layout: Layout, link: Link) -> tuple[str, ...]:
    return (
        str(layout.programs / "kubelet"),
        f"--config={layout.config / 'kubelet.json'}",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--hostname-override={NODE_NAME}",
        f"--root-dir={mounts.KUBELET_ROOT}",
        f"--node-ip={link.node}",
    )


def _kubelet_config(layout: Layout, link: Link) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": link.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{mounts.CONTAINERD_SOCKET}",
        "clusterDNS": [link.node],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.config / "resolv.conf"),
        "podLogsDir": str(mounts.POD_LOGS),
        "maxPods": 250,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        # The disk is the developer's own: neither evict pods for its sake nor remove images that no registry
        # has.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy_config(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": "127.0.0.1",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("proxy"))},
        "clusterCIDR": POD_RANGE,
        "mode": "iptables",
        "iptables": {"minSyncPeriod": "100ms"},
        "hostnameOverride": NODE_NAME,
        # The connection table's size belongs to the host; leave it alone.
        "conntrack": {"maxPerCore": 0},
    }


def _corefile(layout: Layout, link: Link) -> str:
    return f"""\
.:53 {{
    bind {link.node}
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {layout.kubeconfig("dns")}
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""


def _pod_network() -> dict[str, object]:
    """Routed pods: each hangs on a veth of its own, no bridge.

    On a bridge, a service's answers would pass the address translation by unless the host has br_netfilter
    loaded.
    """
    return {
        "cniVersion": "0.4.0",
        "name": "bullherd",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": NODE_POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd_toml(snapshotter: str, *, cni: Path) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE a process cannot lower its score, and every pod would
    # fail.
    return f"""\
version = 2
root = "{mounts.CONTAINERD_ROOT}"
state = "/run/containerd"
[grpc]
  address = "{mounts.CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
"""
