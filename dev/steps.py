"""Work as a graph of named steps: what does not depend on each other runs at the same time.

A step is a function that gets a `Report`: through it the step says how far it is, runs programs, and learns
that it should give up. When one step fails, the others are told to stop, everything is waited for, and the
failure is shown once, at the end, where it is not scrolled away.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from dev.errors import Cancelled, DevError
from dev.process import run

LOOK = 0.2


@dataclass(frozen=True)
class Step:
    """`after` names steps that must be done first; of the steps that share a `lane`, one runs at a time."""

    name: str
    title: str
    work: "Callable[[Report], str | None]"
    after: tuple[str, ...] = ()
    lane: str | None = None


class Screen(Protocol):
    """Shows steps to a person or to a log; called from several threads."""

    def started(self, step: Step) -> None: ...
    def advanced(self, step: Step, done: float | None, total: float | None, note: str) -> None: ...
    def said(self, step: Step, text: str) -> None: ...
    def finished(self, step: Step, seconds: float, detail: str) -> None: ...
    def stopped(self, step: Step, seconds: float, *, failed: bool) -> None: ...


@dataclass(frozen=True)
class Report:
    """What a running step has to do with the rest of the world."""

    step: Step
    screen: Screen
    cancel: Event
    log: Path

    def progress(self, done: float | None = None, total: float | None = None, note: str = "") -> None:
        """How far it is; without numbers, only what it is doing now."""
        self.screen.advanced(self.step, done, total, note)

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        self.screen.said(self.step, text)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        limit: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        todo: str = "",
    ) -> None:
        run(argv, log=self.log, limit=limit, cancel=self.cancel, cwd=cwd, env=env, on_line=on_line, todo=todo)

    def until(self, what: str, check: Callable[[], bool], *, limit: float, todo: str = "") -> None:
        """Wait for something to become true, looking several times a second."""
        deadline = time.monotonic() + limit
        while not check():
            if self.cancel.is_set():
                raise Cancelled
            if time.monotonic() > deadline:
                raise DevError(f"{what}: not so after {limit:.0f} s", todo=todo)
            time.sleep(LOOK)


def needed_for(goals: Iterable[str], steps: Iterable[Step]) -> list[Step]:
    """The steps that lead to the goals, in the order in which they are given."""
    by_name = {step.name: step for step in steps}
    wanted: set[str] = set()
    ahead = list(goals)
    while ahead:
        name = ahead.pop()
        if name not in wanted:
            wanted.add(name)
            ahead.extend(by_name[name].after)
    return [step for step in by_name.values() if step.name in wanted]


def startable(steps: Iterable[Step], done: Collection[str], running: Collection[str]) -> list[Step]:
    """Steps that can start now: what they wait for is done and their lane is free. Earlier ones go first."""
    steps = list(steps)
    lanes = {step.lane for step in steps if step.name in running and step.lane}
    chosen = []
    for step in steps:
        waits = step.name in done or step.name in running or any(name not in done for name in step.after)
        if waits or step.lane in lanes:
            continue
        chosen.append(step)
        if step.lane:
            lanes.add(step.lane)
    return chosen


def carry_out(steps: Sequence[Step], screen: Screen, logs: Path) -> None:
    """Run all steps. The first failure, or Ctrl-C, stops the others; then it is raised."""
    cancel = Event()
    done: set[str] = set()
    running: dict[Future[None], Step] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        while running or (not failure and len(done) < len(steps)):
            try:
                if not failure:
                    for step in startable(steps, done, {step.name for step in running.values()}):
                        running[pool.submit(_one, step, screen, cancel, logs)] = step
                finished, _ = wait(running, timeout=LOOK, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as interrupt:
                failure = failure or interrupt
                cancel.set()
                continue
            for future in finished:
                step = running.pop(future)
                error = future.exception()
                if error is None:
                    done.add(step.name)
                elif not isinstance(error, Cancelled):
                    failure = failure or error
                    cancel.set()
    if failure:
        raise failure


def _one(step: Step, screen: Screen, cancel: Event, logs: Path) -> None:
    begin = time.monotonic()
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{step.name}.log"
    log.unlink(missing_ok=True)
    screen.started(step)
    try:
        detail = step.work(Report(step, screen, cancel, log))
    except BaseException as error:
        screen.stopped(step, time.monotonic() - begin, failed=not isinstance(error, Cancelled))
        if isinstance(error, DevError):
            error.step = step.title
        raise
    screen.finished(step, time.monotonic() - begin, detail or "")
