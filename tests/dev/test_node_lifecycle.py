"""A local node starts, ends and starts again, however it ended, and leaves nothing behind.

Needs root, and Kubernetes and CoreDNS in the cache (`make cluster`). BULLHERD_NODE_ROUNDS=20 goes round as
often as a release is to be tried; five times by default. The times are in the output: pytest -s.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dev.node import lifecycle, network, processes
from dev.node.layout import Layout
from dev.process import output
from tests.dev.pods import Pods
from tests.dev.traces import traces

ROUNDS = int(os.environ.get("BULLHERD_NODE_ROUNDS", "5"))

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120 + 60 * ROUNDS)]


def test_starts_and_ends_again_and_again(layout: Layout) -> None:
    for number in range(1, ROUNDS + 1):
        begin = time.monotonic()
        assert lifecycle.up(layout)
        up = time.monotonic() - begin
        pods = Pods(layout)
        pods.run("sleeper", "sleep 1000")
        pods.wait("sleeper", "jsonpath={.status.phase}=Running")
        running = time.monotonic() - begin - up
        assert traces(layout), "a node that runs must be seen by what looks for its traces"
        begin = time.monotonic()
        lifecycle.down(layout)
        down = time.monotonic() - begin
        assert traces(layout) == []
        print(f"round {number}: up {up:.1f} s, a pod {running:.1f} s later, down {down:.1f} s")


def test_up_on_a_running_node_is_instant(layout: Layout) -> None:
    lifecycle.up(layout)
    before = _outermost(layout)
    begin = time.monotonic()
    assert not lifecycle.up(layout)
    assert time.monotonic() - begin < 5
    assert _outermost(layout) == before


def test_down_without_a_node_does_nothing(layout: Layout) -> None:
    lifecycle.down(layout)
    assert traces(layout) == []


@pytest.mark.parametrize("victim", ["the outermost process", "process 1"])
def test_recovers_from_a_kill(layout: Layout, victim: str) -> None:
    lifecycle.up(layout)
    outermost = _outermost(layout)
    pid = outermost.pid if victim == "the outermost process" else processes.children(outermost.pid)[0]
    processes.kill(pid)
    _until_dead(outermost)
    assert not lifecycle.look(layout).alive
    assert lifecycle.up(layout)
    assert lifecycle.look(layout).healthy


def test_recovers_from_a_reboot(layout: Layout) -> None:
    """After one, the files are there and nothing else; the recorded process id may be anybody's."""
    lifecycle.up(layout)
    files = layout.process.read_text()
    outermost = _outermost(layout)
    processes.kill(outermost.pid)
    _until_dead(outermost)
    network.remove(layout, limit=10)
    layout.process.write_text(
        files.replace(outermost.boot, "another-boot").replace(str(outermost.pid), str(os.getpid()))
    )
    assert lifecycle.up(layout)


def test_recovers_from_a_start_that_was_cut_off(layout: Layout) -> None:
    layout.state.mkdir()
    network.create(layout)
    assert lifecycle.up(layout)


def test_a_component_that_dies_is_started_again(layout: Layout) -> None:
    lifecycle.up(layout)
    victims = [
        pid
        for pid in processes.inside(layout.namespace_file)
        if b"kube-controller-manager" in _command(pid).split(b"\0")[0]
    ]
    assert len(victims) == 1
    processes.kill(victims[0])
    pods = Pods(layout)
    pods.kubectl("create", "namespace", "later")  # the controllers give it its service account
    pods.kubectl("wait", "--namespace=later", "--for=create", "--timeout=60s", "serviceaccount/default")


def test_two_nodes_live_side_by_side(layout: Layout) -> None:
    other = replace(layout, checkout=replace(layout.checkout, root=layout.checkout.root / "other"))
    other.programs.parent.mkdir(parents=True)
    other.programs.symlink_to(layout.programs)
    try:
        lifecycle.up(layout)
        lifecycle.up(other)
        for one in (layout, other):
            Pods(one).run("sleeper", "sleep 1000")
        for one in (layout, other):
            Pods(one).wait("sleeper", "jsonpath={.status.phase}=Running")
    finally:
        lifecycle.down(other)
    assert traces(other) == []
    assert lifecycle.look(layout).healthy
    assert (
        output([*Pods(layout).command, "get", "pod", "sleeper", "-o", "jsonpath={.status.phase}"])
        == "Running"
    )


def _outermost(layout: Layout) -> processes.Process:
    recorded = lifecycle.recorded_process(layout)
    assert recorded is not None
    return recorded


def _until_dead(process: processes.Process) -> None:
    deadline = time.monotonic() + 30
    while process.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
