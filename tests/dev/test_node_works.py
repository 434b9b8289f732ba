"""What pods may count on in a local node: names, services, volumes, logs and exec; and no way out.

Needs root, and Kubernetes and CoreDNS in the cache (`make cluster`).
"""

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from dev.errors import DevError
from dev.node import lifecycle
from dev.node.layout import Layout
from tests.dev.pods import Pods

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

WEB = """
/busybox mkdir -p /tmp/www && echo hello from $HOSTNAME > /tmp/www/index.html
exec /busybox httpd -f -p 8080 -h /tmp/www
"""
TMP = [{"name": "tmp", "emptyDir": {}}]
AT_TMP = [{"name": "tmp", "mountPath": "/tmp"}]


@pytest.fixture
def pods(layout: Layout) -> Pods:
    lifecycle.up(layout)
    return Pods(layout)


def test_services_names_and_tools(pods: Pods) -> None:
    """A service has a name, and answers another pod and the very pod behind it; logs, exec, port-forward."""
    pods.run("web", WEB, volumes=TMP, mounts=AT_TMP)
    pods.run("client", "echo started; exec /busybox sleep 1000")
    pods.kubectl("expose", "pod", "web", "--port=80", "--target-port=8080")
    for name in ("web", "client"):
        pods.wait(name, "condition=Ready")

    # A static busybox cannot look names up: its nslookup asks the name server, and nc is given the answer.
    address = pods.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    asked = pods.kubectl("exec", "client", "--", "/busybox", "nslookup", "web.default.svc.cluster.local")
    assert f"Address: {address}" in asked

    fetch = ["/busybox", "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /busybox nc -w 10 {address} 80"]
    assert pods.kubectl("exec", "client", "--", *fetch).endswith("hello from web\n")
    assert pods.kubectl("exec", "web", "--", *fetch).endswith("hello from web\n")
    assert pods.kubectl("logs", "client") == "started\n"
    assert _through_port_forward(pods) == "hello from web\n"


def test_volumes_belong_to_whoever_mounts_them(pods: Pods, layout: Layout) -> None:
    """A claim is bound by the default class, written by a user who is not root, and goes with its claim."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    pods.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim}
    )
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    pods.run("writer", "echo kept > /data/file", volumes=volumes, mounts=mounts, restartPolicy="Never")
    pods.wait("writer", "jsonpath={.status.phase}=Succeeded")
    pods.run("reader", "/busybox cat /data/file", volumes=volumes, mounts=mounts, restartPolicy="Never")
    pods.wait("reader", "jsonpath={.status.phase}=Succeeded")
    assert pods.kubectl("logs", "reader") == "kept\n"
    assert len(list(layout.volumes.iterdir())) == 1

    pods.kubectl("delete", "pod/writer", "pod/reader", "pvc/data")
    pods.kubectl("wait", "persistentvolume", "--all", "--for=delete", "--timeout=60s")
    assert list(layout.volumes.iterdir()) == []


def test_an_aggregated_api_is_asked_through_the_front_proxy(pods: Pods) -> None:
    """The API server looks for the service behind an APIService, and knows how to speak for a user to it."""
    pods.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
            "spec": {
                "group": "external.metrics.k8s.io", "version": "v1beta1",
                "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
                "service": {"name": "metrics", "namespace": "default"},
            },
        }
    )  # fmt: skip
    pods.kubectl("wait", "apiservice/v1beta1.external.metrics.k8s.io", "--for=condition=Available=false")
    configured = json.loads(
        pods.kubectl(
            "get", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "-o", "json"
        )
    )["data"]
    assert "front-proxy-client" in configured["requestheader-allowed-names"]
    assert "BEGIN CERTIFICATE" in configured["requestheader-client-ca-file"]


def test_nothing_leaves_the_node(pods: Pods, layout: Layout) -> None:
    """What a pod sends to an address outside gets to the host's end of the link, and no further."""
    assert Path(f"/proc/sys/net/ipv4/conf/{layout.host_interface}/forwarding").read_text() == "0\n"
    pods.run("client", "exec /busybox sleep 1000")
    pods.wait("client", "condition=Ready")
    nobody = "192.0.2.254"  # an address for documentation
    with pytest.raises(DevError, match="ended with 1") as refused:
        pods.kubectl("exec", "client", "--", "/busybox", "nc", "-w", "2", nobody, "80")
    assert "timed out" in refused.value.why


def _through_port_forward(pods: Pods) -> str:
    forward = subprocess.Popen(
        [*pods.command, "port-forward", "service/web", ":80"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert forward.stdout is not None
        local = forward.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{local}", timeout=10) as response:
            return bytes(response.read()).decode()
    finally:
        forward.terminate()
        forward.wait(10)
