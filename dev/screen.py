"""Steps on a screen: with bars and spinners at a terminal, line by line in a log."""

import sys
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from dev.steps import Screen, Step

QUIET = 15
"""In a log, a long step says every so many seconds how far it is: proof of life without a flood."""


class Terminal(AbstractContextManager["Terminal"]):
    """Finished steps scroll up; those that run are at the bottom, each with its time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", style="dim", table_column=Column(ratio=1, no_wrap=True)),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )

    def __enter__(self) -> "Terminal":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, step: Step) -> None:
        self._tasks[step.name] = self._progress.add_task(escape(step.title), total=None, note="")

    def advanced(self, step: Step, done: float | None, total: float | None, note: str) -> None:
        self._progress.update(self._tasks[step.name], completed=done, total=total, note=escape(note))

    def said(self, step: Step, text: str) -> None:
        self._console.print(f"  [dim]{escape(step.title)}:[/] {escape(text)}", highlight=False)

    def finished(self, step: Step, seconds: float, detail: str) -> None:
        self._close(step, "[green]✓[/]", seconds, detail)

    def stopped(self, step: Step, seconds: float, *, failed: bool) -> None:
        self._close(step, "[red]✗[/]" if failed else "[yellow]-[/]", seconds, "" if failed else "stopped")

    def _close(self, step: Step, mark: str, seconds: float, detail: str) -> None:
        self._progress.remove_task(self._tasks.pop(step.name))
        shown = f"  [dim]{escape(detail)}[/]" if detail else ""
        self._console.print(
            f"{mark} {escape(step.title)} [cyan]{duration(seconds)}[/]{shown}", highlight=False
        )


class Lines(AbstractContextManager["Lines"]):
    """For CI and for files: every line is complete and begins with the time since the start."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def started(self, step: Step) -> None:
        self._last[step.name] = time.monotonic()
        self._line(step, "begins")

    def advanced(self, step: Step, done: float | None, total: float | None, note: str) -> None:
        now = time.monotonic()
        if now - self._last[step.name] < QUIET:
            return
        self._last[step.name] = now
        share = f"{done:.0f} of {total:.0f} " if done is not None and total else ""
        self._line(step, f"{share}{note}".strip() or "at work")

    def said(self, step: Step, text: str) -> None:
        self._line(step, text)

    def finished(self, step: Step, seconds: float, detail: str) -> None:
        self._line(step, f"done in {duration(seconds)}{f' ({detail})' if detail else ''}")

    def stopped(self, step: Step, seconds: float, *, failed: bool) -> None:
        self._line(step, f"{'FAILED' if failed else 'stopped'} after {duration(seconds)}")

    def _line(self, step: Step, text: str) -> None:
        with self._lock:
            print(f"[{time.monotonic() - self._begin:6.1f} s] {step.title}: {text}", flush=True)


def open_screen() -> Terminal | Lines:
    console = Console()
    return Terminal(console) if sys.stdout.isatty() else Lines()


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


__all__ = ["Lines", "Screen", "Terminal", "duration", "open_screen"]
