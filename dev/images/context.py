"""Which files of the build context a Dockerfile uses, and one hash over everything that makes the image.

Only what COPY, ADD and bind mounts name counts, so editing a test does not build an image anew. The files
that .dockerignore leaves out of a build are left out of the hash as well.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dev.errors import DevError


def digest(root: Path, dockerfile: Path, arguments: Mapping[str, str]) -> str:
    """Twelve hex digits over the Dockerfile, its arguments, and names, modes and contents of its files."""
    text = dockerfile.read_text()
    whole = hashlib.sha256(text.encode())
    whole.update(json.dumps(dict(sorted(arguments.items()))).encode())
    for path in used_files(root, text):
        relative = path.relative_to(root)
        executable = bool(path.lstat().st_mode & 0o111)
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        whole.update(f"\0{relative}\0{executable}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:12]


def used_files(root: Path, dockerfile: str) -> list[Path]:
    """Every file that a build reads from the context, sorted."""
    ignored = Ignored.of(root)
    found: set[Path] = set()
    for source in sources(dockerfile):
        matches = (
            [root] if source in (".", "./", "") else sorted(root.glob(source.removeprefix("./").strip("/")))
        )
        if not matches:
            raise DevError(f"a Dockerfile copies {source}, which is not there", todo=f"look in {root}")
        for match in matches:
            found.update(
                path for path in _files(match) if not ignored.matches(path.relative_to(root).as_posix())
            )
    return sorted(found)


def sources(dockerfile: str) -> Iterator[str]:
    """What COPY, ADD and bind mounts name in the context (not in other images, not on the web)."""
    for instruction, rest in _instructions(dockerfile):
        if instruction in ("COPY", "ADD"):
            yield from _copied(rest)
        elif instruction == "RUN":
            for mount in re.findall(r"--mount=(\S+)", rest):
                options = dict(option.partition("=")[::2] for option in mount.split(","))
                if options.get("type", "bind") == "bind" and "from" not in options:
                    yield options.get("source") or options.get("src") or "."


def _copied(rest: str) -> Iterator[str]:
    words = shlex.split(rest)
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return
    paths = rest.strip()
    for flag in flags:
        paths = paths.replace(flag, "", 1).strip()
    named = json.loads(paths) if paths.startswith("[") else shlex.split(paths)
    yield from (source for source in named[:-1] if "://" not in source)


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction:
            yield instruction.upper(), rest


def _files(path: Path) -> Iterable[Path]:
    if path.is_symlink() or path.is_file():
        return [path]
    return (found for found in path.rglob("*") if found.is_symlink() or found.is_file())


class Ignored:
    """The rules of .dockerignore: the last pattern that matches a path, or a folder above it, decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [
            (not line.startswith("!"), _expression(line.removeprefix("!").strip("/")))
            for line in (line.strip() for line in patterns)
            if line and not line.startswith("#")
        ]

    @classmethod
    def of(cls, root: Path) -> "Ignored":
        file = root / ".dockerignore"
        return cls(file.read_text().splitlines() if file.exists() else ())

    def matches(self, path: str) -> bool:
        verdict = False
        for ignores, expression in self._rules:
            if expression.match(path):
                verdict = ignores
        return verdict


def _expression(pattern: str) -> re.Pattern[str]:
    translated = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        translated += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or re.escape(part)
    return re.compile(f"{translated}(?:/.*)?$")
