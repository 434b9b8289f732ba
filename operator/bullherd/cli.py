"""The command line: ``bullherd operator``, ``bullherd server``, and what people and builds need besides."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, CliApp, CliPositionalArg, CliSubCommand, SettingsConfigDict

from bullherd.settings import OperatorSettings, ServerSettings


class Operator(OperatorSettings):
    """Run the operator: watch QueueJobs and scale their workers."""

    def cli_cmd(self) -> None:
        """Run it; the exit status is that of the process."""
        from bullherd.operator import run_operator  # imports Kopf, which the other commands need not wait for

        sys.exit(asyncio.run(run_operator(self)))


class Server(ServerSettings):
    """Run the server: external metrics for HPAs, as an aggregated API."""

    def cli_cmd(self) -> None:
        """Run it; the exit status is that of the process."""
        from bullherd.server.run import run_server

        sys.exit(asyncio.run(run_server(self)))


class Crds(BaseModel):
    """Write the CustomResourceDefinitions, one file each, from the models."""

    directory: CliPositionalArg[Path] = Field(description="Where to write.")
    check: bool = Field(False, description="Write nothing; fail when a file differs.")

    def cli_cmd(self) -> None:
        """Write or compare."""
        from bullherd.api.crds import render

        _write_or_check("crds", self.directory, render(), self.check)


class Reference(BaseModel):
    """Write the reference pages, one file each, from the models."""

    directory: CliPositionalArg[Path] = Field(description="Where to write.")
    check: bool = Field(False, description="Write nothing; fail when a file differs.")

    def cli_cmd(self) -> None:
        """Write or compare."""
        from bullherd.api.reference import render

        _write_or_check("reference", self.directory, {"queuejob.md": render()}, self.check)


class Version(BaseModel):
    """Print the version."""

    def cli_cmd(self) -> None:
        """Print it."""
        from bullherd import __version__

        print(__version__)


class Bullherd(BaseSettings):
    """A Kubernetes operator for BullMQ: what waits in Redis becomes pods."""

    model_config = SettingsConfigDict(
        cli_prog_name="bullherd",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_use_class_docs_for_groups=True,
    )

    operator: CliSubCommand[Operator]
    server: CliSubCommand[Server]
    crds: CliSubCommand[Crds]
    reference: CliSubCommand[Reference]
    version: CliSubCommand[Version]

    def cli_cmd(self) -> None:
        """Run the chosen command."""
        CliApp.run_subcommand(self)


def main(arguments: list[str] | None = None) -> None:
    """The console script."""
    try:
        CliApp.run(Bullherd, cli_args=arguments)
    except ValidationError as error:
        if error.title != Bullherd.__name__:
            raise
        for problem in map(_sentence, error.errors()):
            print(f"bullherd: error: {problem}", file=sys.stderr)
        sys.exit(2)


def _sentence(problem: ErrorDetails) -> str:
    """Which setting is wrong, by both of its names, and why."""
    name = str(problem["loc"][-1])
    flag, variable = f"--{name.replace('_', '-')}", f"BULLHERD_{name.upper()}"
    return f"{flag} ({variable}) is {problem['input']!r}: {problem['msg']}"


def _write_or_check(command: str, directory: Path, files: dict[str, Any], check: bool) -> None:
    differing = [
        name
        for name, text in files.items()
        if not (directory / name).is_file() or (directory / name).read_text() != text
    ]
    if check:
        for name in differing:
            print(
                f"{directory / name} is not what the models say; run `bullherd {command} {directory}`",
                file=sys.stderr,
            )
        sys.exit(1 if differing else 0)
    directory.mkdir(parents=True, exist_ok=True)
    for name in differing:
        (directory / name).write_text(files[name])
        print(f"wrote {directory / name}")
