"""What a node leaves on the host, looked for without the code that is to remove it."""

from contextlib import suppress
from pathlib import Path

from dev.node.layout import Layout


def traces(layout: Layout) -> list[str]:
    """Everything on this machine that carries the node's name or path."""
    names = (layout.checkout.short_id, str(layout.state))
    return sorted({*_processes(names), *_mounts(names), *_files(layout)})


def _processes(names: tuple[str, ...]) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            group = (process / "cgroup").read_text()
            if any(name in command or name in group for name in names):
                found.append(f"process {process.name}: {command}")
    return found


def _mounts(names: tuple[str, ...]) -> list[str]:
    """In whatever mount namespace they are: any process may hold one."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for line in (process / "mountinfo").read_text().splitlines():
                if any(name in line for name in names):
                    found.add(f"mount {line.split()[4]}")
    return sorted(found)


def _files(layout: Layout) -> list[str]:
    interfaces = Path("/sys/class/net").glob(f"*{layout.checkout.short_id}*")
    namespaces = Path("/run/netns").glob(f"*{layout.checkout.short_id}*")
    groups = Path("/sys/fs/cgroup").glob(f"**/*{layout.checkout.short_id}*")
    state = [layout.state] if layout.state.exists() else []
    return [str(path) for path in (*interfaces, *namespaces, *groups, *state)]
