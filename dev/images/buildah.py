"""Builds without Docker: buildah, with a store of its own in the cache beside whatever the user has."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.images import base, host, store
from dev.process import output
from dev.steps import Report

LIMIT = 900
STEP = re.compile(r"STEP (\d+)/(\d+): (.*)")


@dataclass(frozen=True)
class Buildah:
    """The store, used in one step. Isolation by chroot needs no more rights than root has in a container."""

    report: Report

    def has(self, reference: str) -> bool:
        return (
            reference
            in output([*store.command(), "images", "--format", "{{.Name}}:{{.Tag}}"], limit=120).split()
        )

    def make_base(self) -> bool:
        """Have the base image of all others; True when it had to be made."""
        if self.has(base.reference()):
            return False
        base.make(self.report)
        with tempfile.TemporaryDirectory(prefix="bullherd-") as folder:
            dockerfile = Path(folder) / "Dockerfile"
            dockerfile.write_text(f'FROM scratch\nADD {base.archive().name} /\nCMD ["python3"]\n')
            self._build(base.reference(), dockerfile, base.archive().parent, {}, [])
        return True

    def build(self, reference: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory(prefix="bullherd-") as folder:
            lent = host.volumes(Path(folder) / "host", host.codename())
            self._build(reference, dockerfile, context, arguments, lent)

    def export(self, reference: str, archive: Path) -> None:
        self._run("push", reference, f"docker-archive:{archive}:{reference}")

    def _build(
        self, reference: str, dockerfile: Path, context: Path, arguments: Mapping[str, str], lent: list[str]
    ) -> None:
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        ignore = (
            ["--ignorefile", str(context / ".dockerignore")] if (context / ".dockerignore").exists() else []
        )
        self._run(
            "build", "--isolation=chroot", "--layers", "--pull-never", "--format=docker",
            *given, *lent, *ignore, "--tag", reference, "--file", str(dockerfile), str(context),
        )  # fmt: skip

    def _run(self, *words: str) -> None:
        self.report.run([*store.command(), *words], limit=LIMIT, on_line=self._show)

    def _show(self, line: str) -> None:
        if step := STEP.match(line):
            self.report.progress(int(step[1]) - 1, int(step[2]), step[3][:60])
