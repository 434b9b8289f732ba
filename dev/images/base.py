"""The base image of all others where there is no registry: a small Debian with Python, made by debootstrap.

The root is made once for a release and a list of packages, and kept as an archive in the cache.
"""

import hashlib
import os
import shutil
from pathlib import Path

from dev.errors import DevError
from dev.images import host
from dev.paths import cache
from dev.steps import Report

PACKAGES = ("ca-certificates", "python-is-python3", "python3", "python3-venv")
NOT_NEEDED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
)
LIMIT = 900
VERSION = "1"
"""Part of the archive's name; counted up when what is below makes something else of the same packages."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def key() -> str:
    what = f"{VERSION} {host.codename()} {os.uname().machine} {' '.join(PACKAGES)}"
    return hashlib.sha256(what.encode()).hexdigest()[:12]


def reference() -> str:
    return f"localhost/bullherd-base:{key()}"


def archive() -> Path:
    return cache() / "base" / f"{key()}.tar"


def make(report: Report) -> None:
    """Have the archive."""
    if archive().exists():
        return
    suite = host.codename()
    mirror = next(source for source in host.package_sources(suite) if suite in source.suites)
    root = archive().with_suffix(f".{os.getpid()}.partial")
    root.mkdir(parents=True)
    packed = root.with_suffix(".tar.partial")

    def show(line: str) -> None:
        report.progress(note=line.removeprefix("I: ").rstrip("."))

    keyring = mirror.signed_by if mirror.signed_by.startswith("/") else KEYRING
    try:
        report.run(
            [
                # debootstrap mounts /proc into the new root: in a namespace, that goes however this ends.
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(f"--keyring={keyring}", suite, root, mirror.uri),
            ],
            limit=LIMIT,
            env={"http_proxy": host.apt_proxy()} if host.apt_proxy() else None,
            on_line=show,
            todo="if a download failed, try again; the mirror comes from this machine's own apt sources",
        )
        _strip(root)
        report.progress(note="packs it")
        report.run(["tar", "--numeric-owner", "-C", root, "-cf", packed, "."], limit=LIMIT)
        packed.rename(archive())
    finally:
        shutil.rmtree(root, ignore_errors=True)
        packed.unlink(missing_ok=True)


def _strip(root: Path) -> None:
    """Leave out what no container needs, and the mirror: a build is lent its host's sources (see host.py)."""
    for name in NOT_NEEDED:
        folder = root / name
        if not folder.is_dir():
            raise DevError(
                f"debootstrap made no {name}", why="its layout has changed", todo="see dev/images/base.py"
            )
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    (root / "etc/apt/sources.list").write_text("")
    for cached in root.glob("usr/lib/python3*/**/__pycache__"):
        shutil.rmtree(cached)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
