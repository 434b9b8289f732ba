"""The one APIService for external metrics: ours, or a stranger's. Needs the cluster, no image."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.chart.release import AUTO, Release, Values
from tests.chart.rendering import CHART
from tests.fixtures.external_metrics import API_SERVICE, ExternalMetricsApi, api_service

pytestmark = pytest.mark.cluster

CERTIFICATE = base64.b64encode(b"a certificate").decode()


def strangers(release: str | None) -> dict[str, Any]:
    """As another adapter brings it: by kubectl, or as a part of a Helm release."""
    body = api_service("default", "another-adapter")
    if release:
        body["metadata"]["annotations"] = {
            "meta.helm.sh/release-name": release,
            "meta.helm.sh/release-namespace": "default",
        }
    return body


def said(api_service: dict[str, Any]) -> tuple[Any, ...]:
    """What would differ if anybody had changed it, however little. Its status changes by itself."""
    metadata = api_service["metadata"]
    writers = {entry["manager"] for entry in metadata["managedFields"] if "subresource" not in entry}
    return metadata["uid"], api_service["spec"], metadata.get("labels"), metadata.get("annotations"), writers


def next_version(folder: Path) -> Path:
    """A copy of the chart whose version, and so a label of every object, is another."""
    chart = Path(shutil.copytree(CHART, folder / "bullherd"))
    described = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*$", "version: 9.9.9", described))
    return chart


def notes(release: Release) -> str:
    return release.cluster.helm("get", "notes", "bullherd", "-n", release.namespace)


@pytest.mark.parametrize("by", [None, "bullherd", "keda"], ids=["kubectl", "another bullherd", "keda"])
def test_a_strangers_is_not_touched_and_taken_over_when_it_is_gone(
    external_metrics_api: ExternalMetricsApi, release: Release, no_pods: Values, by: str | None
) -> None:
    cluster = release.cluster
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(strangers(by)))
    before = said(cluster.api_service())
    release.install(no_pods, AUTO)
    release.upgrade(no_pods, AUTO, flags=["--take-ownership", "--force-conflicts"])
    assert said(cluster.api_service()) == before
    assert f"{API_SERVICE} is somebody else's and stays so: it leads to default/another-adapter." in notes(
        release
    )
    assert cluster.may(release.server, "get", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")
    assert not cluster.may(release.server, "patch", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")

    cluster.kubectl("delete", "apiservice", API_SERVICE)
    release.upgrade(no_pods, AUTO)
    assert release.owns(cluster.api_service())
    assert f"{API_SERVICE} leads to {release.namespace}/bullherd-server." in notes(release)
    assert cluster.may(release.server, "patch", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")


def test_one_that_leads_here_is_used_whoever_made_it(
    external_metrics_api: ExternalMetricsApi, release: Release, no_pods: Values
) -> None:
    own = json.dumps(api_service(release.namespace))
    release.cluster.kubectl("create", "-f", "-", stdin=own)
    release.install(no_pods, AUTO)
    assert "is not of this release, but leads to" in notes(release)
    assert release.cluster.may(release.server, "patch", f"apiservices.apiregistration.k8s.io/{API_SERVICE}")


def test_what_the_server_writes_survives_upgrade_and_rollback_and_goes_with_the_release(
    external_metrics_api: ExternalMetricsApi, release: Release, no_pods: Values, tmp_path: Path
) -> None:
    release.install(no_pods, AUTO)
    cluster = release.cluster
    as_server = ("--type=merge", "--field-manager=bullherd-server")
    patch = json.dumps({"data": {"tls.crt": CERTIFICATE}})
    cluster.kubectl(
        "-n", release.namespace, "patch", "secret", "bullherd-server-tls", *as_server, "-p", patch
    )
    patch = json.dumps({"spec": {"caBundle": CERTIFICATE}})
    cluster.kubectl("patch", "apiservice", API_SERVICE, *as_server, "-p", patch)

    def kept() -> tuple[Any, Any]:
        return release.secret("bullherd-server-tls"), cluster.api_service()["spec"]["caBundle"]

    written = ({"tls.crt": "a certificate"}, CERTIFICATE)
    release.upgrade(no_pods, AUTO)
    assert kept() == written
    newer = Release(cluster, release.namespace, next_version(tmp_path))
    newer.upgrade(no_pods, AUTO)
    assert cluster.api_service()["metadata"]["labels"]["helm.sh/chart"] == "bullherd-9.9.9"
    assert kept() == written
    cluster.helm("rollback", "bullherd", "1", "-n", release.namespace, "--wait", "--timeout", "120s")
    assert kept() == written

    release.uninstall()
    assert release.left() == set()
