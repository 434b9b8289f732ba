"""The node's certificates: one authority for the cluster, one for the front proxy, made by openssl.

A node's state never outlives the node, so a certificate is never renewed: a new node has new ones.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from dev.node.layout import API_PORT, API_SERVICE_IP, NODE_NAME, Layout
from dev.process import output

DAYS = "3650"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Identity:
    """Who a certificate speaks for: its name is the user, its organisation the group."""

    file: str
    name: str
    group: str = ""
    hosts: str = ""
    authority: str = "ca"


def identities(node_address: str) -> tuple[Identity, ...]:
    names = ",".join(
        f"DNS:{name}"
        for name in (
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        )
    )
    return (
        Identity(
            "apiserver", "kube-apiserver", hosts=f"{names},IP:127.0.0.1,IP:{API_SERVICE_IP},IP:{node_address}"
        ),
        Identity("apiserver-kubelet-client", "kube-apiserver", "system:masters"),
        Identity("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
        Identity("admin", "admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("dns", "system:coredns"),
        Identity(
            "kubelet",
            f"system:node:{NODE_NAME}",
            "system:nodes",
            f"DNS:{NODE_NAME},IP:127.0.0.1,IP:{node_address}",
        ),
    )


USERS = ("admin", "controller-manager", "scheduler", "proxy", "dns", "kubelet")
"""Who gets a kubeconfig."""


def create(layout: Layout, node_address: str) -> None:
    layout.pki.mkdir(parents=True, mode=0o700)
    layout.config.mkdir(parents=True, exist_ok=True)
    for authority in ("ca", "front-proxy-ca"):
        _authority(layout.pki, authority)
    for identity in identities(node_address):
        _certificate(layout.pki, identity)
    output(["openssl", "genrsa", "-out", layout.pki / "service-accounts.key", "2048"])
    output(
        [
            "openssl",
            "rsa",
            "-in",
            layout.pki / "service-accounts.key",
            "-pubout",
            "-out",
            layout.pki / "service-accounts.pub",
        ]
    )
    for user in USERS:
        path = layout.kubeconfig(user)
        path.touch(mode=0o600)
        path.write_text(json.dumps(_kubeconfig(layout.pki, user, node_address)))


def _authority(pki: Path, name: str) -> None:
    output(
        [
            *("openssl", "req", "-x509", *KEY, "-days", DAYS, "-subj", f"/CN=bullherd-{name}"),
            *("-keyout", pki / f"{name}.key", "-out", pki / f"{name}.crt"),
        ]
    )


def _certificate(pki: Path, identity: Identity) -> None:
    subject = (f"/O={identity.group}" if identity.group else "") + f"/CN={identity.name}"
    base = pki / identity.file
    extensions = ["keyUsage=digitalSignature,keyEncipherment", "extendedKeyUsage=serverAuth,clientAuth"]
    if identity.hosts:
        extensions.append(f"subjectAltName={identity.hosts}")
    extension_file = base.with_suffix(".ext")
    extension_file.write_text("\n".join(extensions))
    request = base.with_suffix(".csr")
    output(["openssl", "req", "-new", *KEY, "-keyout", f"{base}.key", "-out", request, "-subj", subject])
    authority = pki / identity.authority
    output(
        [
            *(
                "openssl",
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                f"{authority}.crt",
                "-CAkey",
                f"{authority}.key",
            ),
            *("-CAcreateserial", "-days", DAYS, "-out", f"{base}.crt", "-extfile", extension_file),
        ]
    )
    extension_file.unlink()
    request.unlink()


def _kubeconfig(pki: Path, user: str, node_address: str) -> dict[str, object]:
    """Kubeconfigs are YAML, and JSON is YAML. Certificates are inside, so a copy works anywhere."""

    def data(name: str) -> str:
        return output(["base64", "-w0", pki / name])

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "bullherd",
                "cluster": {
                    "server": f"https://{node_address}:{API_PORT}",
                    "certificate-authority-data": data("ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": data(f"{user}.crt"),
                    "client-key-data": data(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": "bullherd", "context": {"cluster": "bullherd", "user": user}}],
        "current-context": "bullherd",
    }
