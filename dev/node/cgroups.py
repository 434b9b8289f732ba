"""The node's own branch of every control group hierarchy: made before it starts, removed after it ended."""

import os
import time
from contextlib import suppress
from pathlib import Path

from dev.errors import DevError
from dev.node.layout import Layout

TOP = Path("/sys/fs/cgroup")
WANTED_V2 = ("cpu", "cpuset", "io", "memory", "pids")


def hierarchies() -> list[Path]:
    """Version 2 has one; version 1 has a directory for each controller."""
    if (TOP / "cgroup.controllers").exists():
        return [TOP]
    return sorted(path for path in TOP.iterdir() if path.is_dir() and not path.is_symlink())


def create(layout: Layout) -> None:
    for hierarchy in hierarchies():
        branch = hierarchy / layout.cgroup
        branch.mkdir(exist_ok=True)
        if (hierarchy / "cgroup.controllers").exists():
            _delegate(hierarchy)
            _delegate(branch)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            ours = branch / setting
            if hierarchy != TOP and ours.exists() and not ours.read_text().strip():
                ours.write_text((hierarchy / setting).read_text())


def _delegate(group: Path) -> None:
    """Let the children of a version 2 group have the controllers that it has itself."""
    have = (group / "cgroup.controllers").read_text().split()
    for controller in WANTED_V2:
        if controller in have:
            try:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError as error:
                raise DevError(
                    f"the control group {group} does not hand {controller} down",
                    why=f"{error}; only a group without processes of its own may",
                    todo="run this on the machine itself rather than in a container",
                ) from error


def remove(layout: Layout, *, limit: float) -> None:
    """The kernel refuses while a dying process is still counted, so this waits for the last one."""
    deadline = time.monotonic() + limit
    while left := [branch for hierarchy in hierarchies() if (branch := hierarchy / layout.cgroup).exists()]:
        for branch in left:
            for folder, _, _ in os.walk(branch, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
        if time.monotonic() > deadline:
            raise DevError(
                f"control groups of the node are still in use after {limit:.0f} s",
                why="\n".join(str(branch) for branch in left),
                todo="see their cgroup.procs for the processes that hold them",
            )
        time.sleep(0.02)
