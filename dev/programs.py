"""Programs built from Go modules that the project pins: Kubernetes, CoreDNS, Helm.

Each is built once, into the cache, under a name that holds a checksum of all that went into it: its go.mod
and go.sum (which pin every module by hash), its source here, the flags, and the version of Go.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import Checkout, cache
from dev.process import output
from dev.steps import Report

MODULES = Path(__file__).parent / "go"
OLDEST_GO = (1, 25)
DOWNLOAD_LIMIT = 900
BUILD_LIMIT = 2400


@dataclass(frozen=True)
class Program:
    """One binary. `version_of` is the required module whose version it reports, in the variables `stamps`."""

    name: str
    title: str
    version_of: str
    package: str = "."
    stamps: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    @property
    def version(self) -> str:
        found = re.search(
            rf"^(?:require)?\s*{re.escape(self.version_of)} (v\S+)",
            (self.folder / "go.mod").read_text(),
            re.MULTILINE,
        )
        if not found:
            raise DevError(f"{self.folder / 'go.mod'} does not require {self.version_of}")
        return found[1]

    @property
    def flags(self) -> tuple[str, ...]:
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"version": self.version, "major": major, "minor": minor}
        stamps = " ".join(f"-X {stamp.format(**values)}" for stamp in self.stamps)
        return ("-trimpath", "-buildvcs=false", f"-ldflags=-s -w {stamps}")

    def binary(self) -> Path:
        content = hashlib.sha256(" ".join((*self.flags, self.package, *_go())).encode())
        for path in sorted(self.folder.iterdir()):
            content.update(path.name.encode() + path.read_bytes())
        return cache() / "bin" / f"{self.name}-{content.hexdigest()[:12]}"


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "kube",
            "Kubernetes",
            "k8s.io/kubernetes",
            stamps=(
                "k8s.io/component-base/version.gitVersion={version}",
                "k8s.io/component-base/version.gitMajor={major}",
                "k8s.io/component-base/version.gitMinor={minor}",
            ),
        ),
        Program("coredns", "CoreDNS", "github.com/coredns/coredns"),
        Program("helm", "Helm", "helm.sh/helm/v4", package="helm.sh/helm/v4/cmd/helm"),
    )
}


def build(program: Program, report: Report) -> str:
    """Have the program in the cache. What is built half never gets its name."""
    binary = program.binary()
    if binary.exists():
        return f"{program.version}, from the cache"
    binary.parent.mkdir(parents=True, exist_ok=True)
    packages = _download(program, report)
    partial = binary.with_suffix(f".{os.getpid()}.partial")
    built = 0

    def count(line: str) -> None:
        nonlocal built
        if " " not in line:  # -v names each package as it is compiled; anything else is a message
            built += 1
            report.progress(built, packages, "packages")

    try:
        report.run(
            ["go", "build", "-v", *program.flags, "-o", partial, program.package],
            cwd=program.folder,
            env=_environment(),
            limit=BUILD_LIMIT,
            on_line=count,
            todo="make the cause go away and try again; what was built so far is kept by Go",
        )
        partial.rename(binary)
    finally:
        partial.unlink(missing_ok=True)
    return f"{program.version}, {binary.stat().st_size / 1e6:.0f} MB"


def link(checkout: Checkout, names: Iterable[str]) -> None:
    """Let `.cluster/bin` name the programs of the cache that this checkout wants."""
    checkout.bin.mkdir(parents=True, exist_ok=True)
    for name in names:
        binary = PROGRAMS[name].binary()
        if not binary.exists():
            raise DevError(f"{PROGRAMS[name].title} is not built yet", todo="make cluster")
        for alias in {"kube": ("kube", "kubectl")}.get(name, (name,)):
            fresh = checkout.bin / f".{alias}.{os.getpid()}"
            fresh.symlink_to(binary)
            fresh.replace(checkout.bin / alias)  # at no moment is there no program of this name


def _download(program: Program, report: Report) -> int:
    """Fetch the modules that are needed, and only those; how many packages there are to build."""
    modules = 0
    packages = 0

    def look(line: str) -> None:
        nonlocal modules, packages
        if line.startswith("go: downloading"):
            modules += 1
            report.progress(note=f"{modules} modules: {line.split()[2]}")
        else:
            packages += 1

    report.run(
        ["go", "list", "-deps", program.package],
        cwd=program.folder,
        env=_environment(),
        limit=DOWNLOAD_LIMIT,
        on_line=look,
        todo="if a download failed: is the Go module proxy reachable (go env GOPROXY)? Then try again",
    )
    return packages


def _go() -> tuple[str, ...]:
    """Version and platform of Go, or an explanation."""
    if shutil.which("go") is None:
        raise DevError(
            "Go is not installed",
            why="Kubernetes, CoreDNS and Helm are built from source",
            todo="install Go 1.26 so that `go version` works, and run this again",
        )
    version, system, machine = output(["go", "env", "GOVERSION", "GOOS", "GOARCH"]).split()
    found = re.match(r"go(\d+)\.(\d+)", version)
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise DevError(f"{version} is too old", todo=f"install Go {'.'.join(map(str, OLDEST_GO))} or newer")
    return version, system, machine


def _environment() -> dict[str, str]:
    return {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
