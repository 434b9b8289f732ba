"""Debian packages that the local node, the image builds and the tests need: named first, then installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.errors import DevError
from dev.process import output
from dev.steps import Report

NODE = (
    *("containerd", "runc", "containernetworking-plugins", "iptables", "iproute2", "conntrack"),
    *("socat", "ebtables", "busybox-static", "openssl"),
)
IMAGES = ("buildah", "debootstrap")
TESTS = ("redis-server", "postgresql", "openssl", "prometheus")
LIMIT = 900
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(packages: tuple[str, ...]) -> list[str]:
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n", *packages],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.split()[1:2] == ["ii"]}
    return [package for package in packages if package not in installed]


def install(packages: tuple[str, ...], report: Report, *, elsewhere: str) -> str:
    """Have the packages; says which it is going to install before it does. `elsewhere` tells what to do on a
    system that has other packages.
    """
    if shutil.which("dpkg-query") is None:
        raise DevError("this is no Debian system", why="the packages could not be looked up", todo=elsewhere)
    wanted = missing(packages)
    if not wanted:
        return "all installed"
    command = f"apt-get install --no-install-recommends {' '.join(wanted)}"
    if os.geteuid() != 0:
        raise DevError(
            f"Debian packages are missing: {', '.join(wanted)}",
            why="installing them needs root",
            todo=f"sudo {command}",
        )
    report.say(f"installs {', '.join(wanted)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
    report.progress(note="reads the package lists")
    report.run([*apt, "update"], limit=LIMIT, env=environment, todo="is the mirror in /etc/apt reachable?")
    total = max(
        1, output([*apt, "install", "--simulate", "--no-install-recommends", *wanted]).count("\nConf ")
    )
    set_up = 0

    def count(line: str) -> None:
        nonlocal set_up
        if line.startswith("Setting up "):
            set_up += 1
        report.progress(set_up, total, line[:60])

    with _services_not_started():
        report.run(
            [*apt, "install", "--yes", "--no-install-recommends", *wanted],
            limit=LIMIT,
            env=environment,
            on_line=count,
            todo=f"try it yourself: {command}",
        )
    return ", ".join(wanted)


def install_for_tests(report: Report) -> str:
    """Where there are no Debian packages, the programs may have come from elsewhere."""
    programs = ("redis-server", "initdb", "openssl", "prometheus", "promtool")
    if shutil.which("dpkg-query") is None and all(map(shutil.which, programs)):
        return f"not Debian; {', '.join(programs)} are there"
    return install(
        TESTS,
        report,
        elsewhere="install Redis 7, PostgreSQL, OpenSSL and Prometheus as your system has them, so that "
        f"{', '.join(programs)} are on the PATH",
    )


@contextmanager
def _services_not_started() -> Iterator[None]:
    """Debian starts a server when it is installed; the project starts its own, with its own settings."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
