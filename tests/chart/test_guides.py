"""docs/install.md and docs/connections.md as they stand. Values need helm; commands cluster and images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.guides import CONNECTIONS, INSTALL, blocks
from tests.chart.release import Release, Values, merge
from tests.chart.rendering import ROOT, render
from tests.fixtures.external_metrics import ExternalMetricsApi


@pytest.mark.parametrize("values", blocks(CONNECTIONS, "yaml") + blocks(INSTALL, "yaml"))
def test_values_in_the_guides_are_good(values: str) -> None:
    assert render(yaml.safe_load(values)).get("Deployment", "bullherd-operator")


# The same words, so that the page's commands run as they stand; what is not in them is given from outside.
PRELUDE = """
set -euo pipefail
helm() {
  case "$1" in
    install | upgrade) command helm "$@" --values "$TEST_VALUES" ;;
    *) command helm "$@" ;;
  esac
}
"""


@pytest.mark.e2e
def test_the_commands_of_the_install_guide(
    external_metrics_api: ExternalMetricsApi, release: Release, whole: Values, tmp_path: Path
) -> None:
    """In a namespace of the test's own and with the project's images; everything else is the page's."""
    release.cluster.kubectl("delete", "namespace", release.namespace)
    own = merge(whole, {"priorityClasses": {"prefix": f"{release.namespace}-"}})
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(own))
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    page = "\n".join(blocks(INSTALL, "sh"))
    commands = page.replace("namespace bullherd", f"namespace {release.namespace}")
    commands = commands.replace("watchNamespaces: [bullherd]", f"watchNamespaces: [{release.namespace}]")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(ROOT / ".cluster" / "bin"), os.environ["PATH"]]),
        "KUBECONFIG": str(release.cluster.kubeconfig),
        "TEST_VALUES": str(tmp_path / "test.yaml"),
    }
    done = subprocess.run(
        ["bash", "-c", PRELUDE + commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for who in ("an operator", "a server"):
        assert f"ok      {who} is ready" in done.stdout + done.stderr
    release.until_no_pod_is_left()
    assert release.left() == {"persistentvolumeclaim/bullherd-redis"}
