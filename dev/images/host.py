"""This machine's settings for apt and pip, as files that a build may read but that never get into an image.

A build fetches packages the way its host does: from the same mirrors and indexes, through the same proxies,
trusting the same authorities. Whatever those are, they are read here when needed and written nowhere in the
project.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.process import output

PIP_OPTIONS = (
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy",
    "timeout", "default-timeout", "retries",
)  # fmt: skip
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
LISTS = Path("/etc/apt/sources.list")
LISTS_FOLDER = Path("/etc/apt/sources.list.d")


@dataclass(frozen=True)
class Source:
    """One source of Debian packages."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self, suite: str) -> str:
        options = f"[signed-by={self.signed_by}] " if self.signed_by.startswith("/") else ""
        return f"deb {options}{self.uri} {suite} {' '.join(self.components)}"


def codename() -> str:
    """Debian's name for this release; images are made of the same one, from the same mirror."""
    fields = dict(
        line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    name = fields.get("VERSION_CODENAME", "").strip('"')
    if fields.get("ID", "").strip('"') != "debian" or not name:
        raise DevError(
            "images can be built without Docker only on Debian",
            why=f"this is {fields.get('PRETTY_NAME', 'another system')}",
            todo="install Docker and kind, and run this again",
        )
    return name


def package_sources(suite: str) -> list[Source]:
    """Sources of this release that the machine uses itself: the release, its updates, security fixes."""
    found = [
        Source(source.uri, matching, source.components, source.signed_by)
        for source in _all_sources()
        if "main" in source.components
        and (
            matching := tuple(
                one for one in source.suites if re.fullmatch(rf"{suite}(-updates|-security)?", one)
            )
        )
    ]
    if not any(suite in source.suites for source in found):
        raise DevError(
            f"no package source for Debian {suite} is set up",
            why=f"nothing in {LISTS} or {LISTS_FOLDER} names {suite} with main",
            todo="add Debian's own sources, run `apt-get update`, and try again",
        )
    return found


def _all_sources() -> Iterator[Source]:
    lists = [LISTS] if LISTS.exists() else []
    for path in lists + sorted(LISTS_FOLDER.glob("*.list")):
        for line in path.read_text().splitlines():
            entry = re.match(
                r"deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>[^#]+)", line
            )
            if entry:
                signed = re.search(r"signed-by=(\S+)", entry["options"] or "")
                yield Source(
                    entry["uri"],
                    (entry["suite"],),
                    tuple(entry["parts"].split()),
                    signed[1] if signed else "",
                )
    for path in sorted(LISTS_FOLDER.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
            fields = {
                key.lower(): re.sub(r"\s+", " ", value).strip()
                for key, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", lines, re.MULTILINE)
            }
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
                for uri in fields.get("uris", "").split():
                    yield Source(
                        uri,
                        tuple(fields.get("suites", "").split()),
                        tuple(fields.get("components", "").split()),
                        fields.get("signed-by", ""),
                    )


def apt_proxy() -> str:
    """For debootstrap, which reads the environment and not apt's configuration."""
    dump = output(["apt-config", "dump", "Acquire::http::Proxy"])
    found = re.search(r'^Acquire::http::Proxy "(.+)";', dump, re.MULTILINE)
    return found[1] if found else ""


def volumes(folder: Path, suite: str) -> list[str]:
    """Write the settings into `folder`; `--volume` options for buildah that lend them to a build."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = package_sources(suite)
    files = {
        LISTS: "\n".join(one.line(part) for one in sources for part in one.suites) + "\n",
        Path("/etc/apt/apt.conf"): output(["apt-config", "dump", "Acquire"]),
        Path("/etc/apt/auth.conf"): "\n".join(path.read_text() for path in _apt_credentials()),
    }
    lent = {}
    for place, text in files.items():
        lent[place] = folder / place.name
        lent[place].write_text(text)
    lent |= {path: path for path in Path("/etc/apt/trusted.gpg.d").glob("*") if path.is_file()}
    lent |= {Path(one.signed_by): Path(one.signed_by) for one in sources if one.signed_by.startswith("/")}
    options = pip_options()
    pip = folder / "pip.conf"
    pip.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()))
    lent[Path("/etc/pip.conf")] = pip
    if CA_BUNDLE.exists():
        lent[CA_BUNDLE] = CA_BUNDLE
    for value in (
        options.get("cert", ""),
        options.get("client-cert", ""),
        *options.get("find-links", "").split(),
    ):
        local = Path(value.removeprefix("file://"))
        if local.is_absolute() and local.exists():
            lent[local] = local
    return [f"--volume={ours}:{theirs}:ro" for theirs, ours in lent.items()]


def _apt_credentials() -> list[Path]:
    return [
        path
        for path in (Path("/etc/apt/auth.conf"), *sorted(Path("/etc/apt/auth.conf.d").glob("*.conf")))
        if path.exists()
    ]


def pip_options() -> dict[str, str]:
    """Options that say where packages come from, as pip itself reads them from files and environment."""
    listed = output([sys.executable, "-m", "pip", "config", "list"])
    entries = re.findall(r"^(global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    named = RawConfigParser()  # pip reads this file, and leaves it out of its list
    named.read(os.environ.get("PIP_CONFIG_FILE", ""))
    entries += [
        (section, *option)
        for section in ("global", "install")
        if section in named
        for option in named.items(section)
    ]
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the later ones win, as they do for pip
        found |= {key: value for where, key, value in entries if where == section and key in PIP_OPTIONS}
    return {key: value.replace("\\n", " ").replace("\n", " ") for key, value in found.items()}
