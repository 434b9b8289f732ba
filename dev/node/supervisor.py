"""The node's first processes: one that reaps orphans, one that starts the components and keeps them running.

They run inside the node's namespaces: `python -m dev.node.supervisor CHECKOUT`. Process 1 does nothing but
collect ended children, since it inherits every orphan of its namespace. When the supervisor ends, so does
process 1, and with it the kernel ends every other process of the node. So no orderly shutdown is needed, and
whatever kills either of them, at any moment, leaves no process behind.

Its output goes to `.cluster/node/logs/supervisor.log`, each component's to `NAME.log` beside it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.node import mounts
from dev.node.components import Component, components
from dev.node.layout import Layout, Link
from dev.node.readiness import checks
from dev.paths import Checkout

START_LIMIT = 90
"""Seconds for one component to become ready; on a loaded machine an API server has taken 40."""
PATIENCE = 5
"""So many ends of one component within `WINDOW` seconds, and the node gives up, rather than hide why."""
WINDOW = 60
LOOK = 0.1


@dataclass
class Running:
    component: Component
    process: subprocess.Popen[bytes]
    ends: deque[float]


class NodeError(Exception):
    """The node cannot work; the reason is in the log."""


class Supervisor:
    """Owns the components' processes. One thread starts them in order, the main one looks after them."""

    def __init__(self, layout: Layout, link: Link) -> None:
        self._layout = layout
        self._components = components(layout, link)
        self._checks = checks(layout)
        self._running: dict[str, Running] = {}
        self._failure: str | None = None

    def run(self) -> None:
        threading.Thread(target=self._start_all, daemon=True).start()
        while True:
            if self._failure:
                raise NodeError(self._failure)
            self._look_after()
            self._open_new_volumes()
            time.sleep(LOOK)

    def _start_all(self) -> None:
        ready: set[str] = set()
        try:
            for component in sorted(self._components, key=lambda one: len(one.after)):
                for needed in component.after:
                    if needed not in ready:
                        self._wait_until_ready(needed)
                        ready.add(needed)
                self._start(component)
        except NodeError as failure:
            self._failure = str(failure)
            return
        say("all components started")

    def _start(self, component: Component) -> None:
        log = (self._layout.logs / f"{component.name}.log").open("ab")
        with log:
            process = subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        known = self._running.get(component.name)
        self._running[component.name] = Running(
            component, process, known.ends if known else deque(maxlen=PATIENCE)
        )
        say(f"{component.name} started as {process.pid}")

    def _wait_until_ready(self, name: str) -> None:
        deadline = time.monotonic() + START_LIMIT
        while not self._checks[name]():
            if time.monotonic() > deadline:
                raise NodeError(f"{name} was not ready after {START_LIMIT} s; see {name}.log")
            time.sleep(LOOK)
        say(f"{name} is ready")

    def _look_after(self) -> None:
        for running in list(self._running.values()):
            if running.process.poll() is None:
                continue
            now = time.monotonic()
            running.ends.append(now)
            say(f"{running.component.name} ended with {running.process.returncode}")
            if len(running.ends) == PATIENCE and now - running.ends[0] < WINDOW:
                raise NodeError(f"{running.component.name} ended {PATIENCE} times within {WINDOW} s")
            self._start(running.component)

    def _open_new_volumes(self) -> None:
        """Let pods that are not root write to their PersistentVolumes.

        The provisioner makes a directory with mode 0750 for root, some tenths of a second before a pod can be
        started on it; no option of its changes that, and fsGroup does not apply to volumes of this type.
        """
        with os.scandir(mounts.PROVISIONED) as volumes:
            for volume in volumes:
                with suppress(FileNotFoundError):
                    if volume.stat().st_mode & 0o777 != 0o777:
                        Path(volume.path).chmod(0o777)


def _reap_until_end_of(child: int) -> int:
    """Process 1: its exit code is the supervisor's."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            return os.waitstatus_to_exitcode(status)


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def main() -> int:
    if child := os.fork():
        return _reap_until_end_of(child)
    layout = Layout(Checkout(Path(sys.argv[1])))
    link = Link(**json.loads(layout.settings.read_text()))
    mounts.set_up(layout)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    try:
        Supervisor(layout, link).run()
    except NodeError as failure:
        say(f"giving up: {failure}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
