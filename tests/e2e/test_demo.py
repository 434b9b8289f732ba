"""The main job on real input, as `make demo` shows it: a web app's items in, training files out, twice.

The demo's release and namespaces stay if they were there before, and go if they were not.

Needs the cluster and Node 20; builds every image.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.demo.steps import ITEMS, NAMESPACE, OPERATOR_NAMESPACE, QUEUEJOB
from dev.paths import this_checkout
from tests.chart.release import Cluster
from tests.e2e.conftest import Measured

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node]

RUN_LIMIT_S = 400


@pytest.fixture
def demo_cluster(target: Cluster) -> Iterator[Cluster]:
    """The cluster; what the demo makes in it is removed if this test was the first to make it."""
    was_there = "bullherd" in target.helm("list", "--short", "--namespace", OPERATOR_NAMESPACE).split()
    yield target
    if not was_there:
        target.helm("uninstall", "bullherd", "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout=120s")
        target.kubectl("delete", "namespace", NAMESPACE, OPERATOR_NAMESPACE, "--wait=false")


def run_demo() -> str:
    """What it printed. A failure shows all of it."""
    done = subprocess.run(
        [sys.executable, "-m", "dev", "demo"],
        cwd=this_checkout().root,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def training_files() -> dict[str, str]:
    """Path -> checksum of everything that the demo fetched."""
    folder = this_checkout().cluster / "training-data"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.timeout(2 * RUN_LIMIT_S)
def test_the_demo_works_and_works_again(demo_cluster: Cluster, measured: Measured) -> None:
    assert_shown(run_demo())
    first = training_files()
    assert_complete(demo_cluster)

    begin = time.monotonic()
    assert_shown(run_demo())
    measured(f"the demo's second run: {time.monotonic() - begin:.0f} s")
    assert training_files() == first


def assert_shown(said: str) -> None:
    """The steps and what to try next are told."""
    assert f"({ITEMS} added, {ITEMS} worked off)" in said
    peak = re.search(r"worker pods: done in .* \(0 → (\d) → 0\)", said)
    assert peak, said
    assert 1 <= int(peak[1]) <= 4
    assert f"kubectl -n {NAMESPACE} get queuejobs" in said
    assert "FAILED" not in said


def assert_complete(cluster: Cluster) -> None:
    """Every correction of the demo's days went into the files, or is accounted for; no worker is left."""
    # An older demo may have left earlier days in the volume.
    paths = sorted(this_checkout().cluster.glob("training-data/*/manifest.json"))[-ITEMS:]
    manifests: list[dict[str, Any]] = [json.loads(path.read_text()) for path in paths]
    assert len(manifests) == ITEMS
    for path, manifest in zip(paths, manifests, strict=True):
        rows = manifest["rows"]
        assert rows["read"] == rows["used"] + rows["duplicates"] + rows["unusable"]
        for file in manifest["files"].values():
            assert_as_promised(path.parent / file["name"], file)
    begin, end = manifests[0]["range"]["start"], manifests[-1]["range"]["end"]
    read = sum(manifest["rows"]["read"] for manifest in manifests)
    assert 0 < read == corrections_between(cluster, begin, end)
    deployment = cluster.get("deployment", QUEUEJOB, "--namespace", NAMESPACE)
    assert deployment["spec"]["replicas"] == 0


def corrections_between(cluster: Cluster, begin: str, end: str) -> int:
    """What PostgreSQL itself counts."""
    query = f"select count(*) from corrections where created_at >= '{begin}' and created_at < '{end}'"
    psql = ("env", "PGPASSWORD=only-for-the-example", "psql", "-h", "127.0.0.1", "-U", "corrections")
    pod = ("--namespace", NAMESPACE, "exec", "corrections-database-0")
    return int(cluster.kubectl(*pod, "--", *psql, "-tAc", query))


def assert_as_promised(file: Path, manifest: dict[str, Any]) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) == manifest["records"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == manifest["sha256"]
    assert all(json.loads(line)["prompt"] for line in lines)
