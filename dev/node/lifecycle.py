"""The node's life seen from the host: up, down, status, and a way to run something inside.

A node that is not alive is never revived: after a reboot, a `kill -9` or a start that was cut off, `up` takes
away what is left and starts a new one. So there is one way to start, from nothing, and it is the one that is
tested.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from dev.errors import Cancelled, DevError
from dev.node import certificates, cgroups, network, pause, processes
from dev.node.components import KUBE_PROGRAMS, write_configuration
from dev.node.layout import NODE_NAME, Layout
from dev.process import NEVER, output, tail

START_LIMIT = 150
END_LIMIT = 60
MANIFESTS = Path(__file__).with_name("manifests.json")

Say = Callable[[str], None]


def _silent(_: str) -> None: ...


@dataclass(frozen=True)
class Status:
    """What is wrong, in words; empty when the node works."""

    alive: bool
    problem: str = ""

    @property
    def healthy(self) -> bool:
        return self.alive and not self.problem


def up(layout: Layout, *, cancel: Event = NEVER, say: Say = _silent) -> bool:
    """Have a working node: True when one was started, False when it ran already."""
    status = look(layout)
    if status.healthy:
        return False
    if status.alive:
        say(f"the node runs but {status.problem}; waiting for it")
        if _becomes_healthy(layout, cancel, say, limit=30):
            return False
        raise DevError(
            f"the node runs but does not work: {look(layout).problem}",
            why=tail(layout.logs / "supervisor.log"),
            todo="`make down` takes it away, `make cluster` starts a new one",
        )
    if layout.state.exists() or layout.namespace_file.exists():
        say("an earlier node did not end well; taking away what is left of it")
        down(layout)
    try:
        _start(layout)
        if not _becomes_healthy(layout, cancel, say, limit=START_LIMIT):
            raise DevError(
                f"the node did not work within {START_LIMIT} s: {look(layout).problem}",
                why=tail(layout.logs / "supervisor.log"),
                log=_keep_logs(layout),
                todo="try again; on a very slow machine with less going on beside it",
            )
    except BaseException:
        down(layout)
        raise
    return True


def down(layout: Layout) -> None:
    """End the node and wait until all of it is gone: processes, mounts, network, control groups, files."""
    outermost = recorded_process(layout)
    if outermost and outermost.alive():
        # Killing process 1 ends its whole PID namespace, at once and whatever state it is in.
        for pid in processes.children(outermost.pid):
            processes.kill(pid)
    _wait_for_processes(layout, outermost)
    network.remove(layout, limit=END_LIMIT)
    cgroups.remove(layout, limit=END_LIMIT)
    if layout.state.exists():
        shutil.rmtree(layout.state)


def look(layout: Layout) -> Status:
    """Whether the node works, in well under a second."""
    outermost = recorded_process(layout)
    if outermost is None or not outermost.alive():
        return Status(alive=False, problem="it is not running")
    kubeconfig = layout.kubeconfig("admin")
    try:
        _kubectl(layout, "get", "--raw", "/readyz", "--request-timeout=5s")
        ready = _kubectl(
            layout, "get", "node", NODE_NAME, "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        )
        if ready != "True":
            return Status(alive=True, problem="the kubelet does not say that the node is ready")
        _kubectl(layout, "get", "serviceaccount", "default", "-o", "name")
        output(["nsenter", f"--net={layout.namespace_file}", sys.executable, "-c", DNS_PROBE], limit=10)
    except DevError as error:
        return Status(alive=True, problem=f"{error.what} ({error.why or kubeconfig})")
    return Status(alive=True)


DNS_PROBE = "import urllib.request as u; u.urlopen('http://127.0.0.1:8181/ready', timeout=5)"


def enter(layout: Layout, command: Sequence[str | Path]) -> list[str]:
    """The command line that runs `command` among the node's mounts, processes and network."""
    outermost = recorded_process(layout)
    first = processes.children(outermost.pid) if outermost and outermost.alive() else []
    if not first:
        raise DevError("the node is not running", todo="make cluster")
    return [
        "nsenter",
        f"--target={first[0]}",
        "--mount",
        "--pid",
        "--net",
        "--",
        *(str(word) for word in command),
    ]


def _start(layout: Layout) -> None:
    layout.state.mkdir(parents=True)
    layout.logs.mkdir()
    for name in KUBE_PROGRAMS:
        link = layout.programs / name
        link.unlink(missing_ok=True)
        link.symlink_to("kube")
    pause.write_archive(layout.pause_archive)
    link_addresses = network.create(layout)
    cgroups.create(layout)
    certificates.create(layout, link_addresses.node)
    write_configuration(layout, link_addresses)
    layout.settings.write_text(json.dumps(asdict(link_addresses)))
    _spawn(layout)
    shutil.copy(layout.kubeconfig("admin"), layout.checkout.kubeconfig)


def _spawn(layout: Layout) -> None:
    """Start the supervisor in its namespaces, as a process that outlives this one."""
    with (layout.logs / "supervisor.log").open("wb") as log:
        outermost = subprocess.Popen(
            [
                *("nsenter", f"--net={layout.namespace_file}"),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, "-m", "dev.node.supervisor", str(layout.checkout.root)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
        )
    identity = processes.identify(outermost.pid)
    if identity is None:
        raise DevError("the node ended at once", why=tail(layout.logs / "supervisor.log"))
    layout.process.write_text(json.dumps(asdict(identity)))


def _becomes_healthy(layout: Layout, cancel: Event, say: Say, *, limit: float) -> bool:
    deadline = time.monotonic() + limit
    applied = False
    said = 0
    while time.monotonic() < deadline:
        if cancel.is_set():
            raise Cancelled
        lines = (layout.logs / "supervisor.log").read_text().splitlines()
        for line in lines[said:]:
            say(line.partition(" ")[2])
        said = len(lines)
        outermost = recorded_process(layout)
        if outermost is None or not outermost.alive():
            raise DevError(
                "the node ended while it started",
                why=tail(layout.logs / "supervisor.log"),
                log=_keep_logs(layout),
            )
        if not applied:
            applied = _apply_manifests(layout)
        if applied and look(layout).healthy:
            return True
        time.sleep(0.1)
    return False


def _apply_manifests(layout: Layout) -> bool:
    try:
        _kubectl(layout, "get", "--raw", "/readyz", "--request-timeout=2s")
        _kubectl(layout, "apply", "--server-side", "-f", str(MANIFESTS))
    except DevError:
        return False
    return True


def _kubectl(layout: Layout, *words: str) -> str:
    return output([layout.programs / "kubectl", "--kubeconfig", layout.kubeconfig("admin"), *words])


def recorded_process(layout: Layout) -> processes.Process | None:
    try:
        return processes.Process(**json.loads(layout.process.read_text()))
    except FileNotFoundError:
        return None


def _wait_for_processes(layout: Layout, outermost: processes.Process | None) -> None:
    deadline = time.monotonic() + END_LIMIT
    while True:
        left = processes.inside(layout.namespace_file)
        if not left and not (outermost and outermost.alive()):
            return
        for pid in left:
            processes.kill(pid)
        if time.monotonic() > deadline:
            raise DevError(
                f"processes of the node are still there after {END_LIMIT} s",
                why=f"process ids {left or outermost}",
                todo="a process that cannot be killed waits for the kernel; look at it with `ps`",
            )
        time.sleep(0.05)


def _keep_logs(layout: Layout) -> Path:
    """Logs of a node that failed, out of the way of its removal."""
    kept = layout.checkout.logs / "node"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(layout.logs, kept, ignore=shutil.ignore_patterns("pods"))
    return kept
