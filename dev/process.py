"""Run one program: its output in a log file, a time limit, and an end when the whole run is cancelled."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO

from dev.errors import Cancelled, DevError

LAST_LINES = 15
"""How much of a failed program's output is shown at once; the rest is in its log."""

NEVER = Event()


def tail(log: Path, lines: int = LAST_LINES) -> str:
    """The last lines of a log, or nothing when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def output(argv: Iterable[str | Path], *, limit: float = 30, cwd: Path | None = None) -> str:
    """What a short program prints; a failure says what it said instead."""
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise DevError(f"{command[0]} is not installed", why=str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise DevError(f"`{' '.join(command)}` did not end within {limit:.0f} s") from error
    if done.returncode:
        raise DevError(f"`{' '.join(command)}` ended with {done.returncode}", why=done.stderr or done.stdout)
    return done.stdout


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    limit: float,
    cancel: Event = NEVER,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    todo: str = "",
) -> None:
    """Run a program to its end, everything it says appended to `log`, each line also given to `on_line`."""
    command = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"$ {' '.join(command)}\n".encode())
        sink.flush()
        with _group(command, cwd, env) as process:
            code = _follow(process, sink, limit, cancel, on_line)
    if code is None:
        raise DevError(
            f"`{command[0]}` did not end within {limit:.0f} s",
            why=tail(log),
            log=log,
            todo=todo or "try again",
        )
    if code:
        raise DevError(f"`{_shown(command)}` ended with {code}", why=tail(log), log=log, todo=todo)


def _shown(command: Sequence[str]) -> str:
    text = " ".join(command)
    return text if len(text) <= 100 else text[:97] + "…"


@contextmanager
def _group(
    command: list[str], cwd: Path | None, env: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program in a process group of its own, so that its children end with it."""
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise DevError(f"{command[0]} is not installed", why=str(error)) from error
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _follow(
    process: subprocess.Popen[bytes],
    sink: IO[bytes],
    limit: float,
    cancel: Event,
    on_line: Callable[[str], None] | None,
) -> int | None:
    """Copy output until the program ends: its exit code, or None when the limit passed first."""
    assert process.stdout is not None
    deadline = time.monotonic() + limit
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if cancel.is_set():
                raise Cancelled
            if not selector.select(0.2):
                if process.poll() is not None:
                    break  # ended, though a grandchild may still hold the pipe open
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            sink.write(chunk)
            sink.flush()
            *lines, rest = (rest + chunk).split(b"\n")
            if on_line:
                for line in lines:
                    on_line(line.decode(errors="replace"))
    if rest and on_line:
        on_line(rest.decode(errors="replace"))
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
