"""Steps run as soon as they can, side by side; one failure stops all of them. Needs nothing."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.errors import Cancelled, DevError
from dev.node.processes import identify
from dev.process import run
from dev.steps import Report, Step, carry_out, needed_for, startable


class Recorder:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, step: Step) -> None:
        self.lines.append(f"{step.name} started")

    def advanced(self, step: Step, done: float | None, total: float | None, note: str) -> None:
        self.lines.append(f"{step.name} {done}/{total} {note}")

    def said(self, step: Step, text: str) -> None:
        self.lines.append(f"{step.name}: {text}")

    def finished(self, step: Step, seconds: float, detail: str) -> None:
        self.lines.append(f"{step.name} done {detail}".strip())

    def stopped(self, step: Step, seconds: float, *, failed: bool) -> None:
        self.lines.append(f"{step.name} {'failed' if failed else 'stopped'}")


def step(
    name: str, *after: str, lane: str | None = None, work: Callable[[Report], str | None] = lambda _: None
) -> Step:
    return Step(name, name, work, after, lane)


GRAPH = [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), step("e")]


@pytest.mark.parametrize(
    ("goals", "wanted"),
    [
        (["e"], ["e"]),
        (["b"], ["a", "b"]),
        (["d"], ["a", "b", "c", "d"]),
        (["e", "c"], ["a", "c", "e"]),
        ([], []),
    ],
)
def test_only_what_leads_to_the_goals(goals: list[str], wanted: list[str]) -> None:
    assert [one.name for one in needed_for(goals, GRAPH)] == wanted


LANES = [step("a", lane="go"), step("b", lane="go"), step("c", "a"), step("d", lane="apt")]


@pytest.mark.parametrize(
    ("done", "running", "wanted"),
    [
        (set(), set(), ["a", "d"]),
        (set(), {"a", "d"}, []),
        ({"a"}, {"d"}, ["b", "c"]),
        ({"a", "d"}, {"b"}, ["c"]),
        ({"a", "b", "c", "d"}, set(), []),
    ],
    ids=["one of a lane", "lanes taken", "lane free again", "lane taken, other step free", "nothing left"],
)
def test_what_can_start(done: set[str], running: set[str], wanted: list[str]) -> None:
    assert [one.name for one in startable(LANES, done, running)] == wanted


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    meet = threading.Barrier(2, timeout=10)

    def work(_: Report) -> str:
        meet.wait()
        return "met"

    screen = Recorder()
    carry_out([step("a", work=work), step("b", work=work), step("c", "a", "b")], screen, tmp_path)
    assert screen.lines[-2:] == ["c started", "c done"]
    assert {"a done met", "b done met"} <= set(screen.lines)


def test_a_failure_stops_the_others_and_is_raised(tmp_path: Path) -> None:
    waits = threading.Event()

    def fails(_: Report) -> str:
        waits.wait(10)
        raise DevError("no", todo="try yes")

    def works_on(report: Report) -> str:
        waits.set()
        report.run(["sleep", "60"], limit=60)
        return "never"

    screen = Recorder()
    with pytest.raises(DevError, match="no") as raised:
        carry_out([step("a", work=fails), step("b", work=works_on), step("c", "a")], screen, tmp_path)
    assert raised.value.step == "a"
    assert set(screen.lines) == {"a started", "b started", "a failed", "b stopped"}


def test_says_why_a_program_failed(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with pytest.raises(DevError) as raised:
        run(["sh", "-c", "seq 30; echo broken; exit 3"], log=log, limit=10, todo="mend it")
    assert "ended with 3" in raised.value.what
    assert raised.value.why.splitlines()[-1] == "broken"
    assert len(raised.value.why.splitlines()) == 15
    assert "mend it" in str(raised.value)
    assert str(log) in str(raised.value)


def test_ends_a_program_at_its_limit_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    with pytest.raises(DevError, match="did not end within 1 s"):
        run(["sh", "-c", f"sleep 300 & echo $! > {pids}; wait"], log=tmp_path / "x.log", limit=1)
    assert identify(int(pids.read_text())) is None


def test_gives_up_when_it_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        run(["sh", "-c", "echo go; sleep 300"], log=tmp_path / "x.log", limit=60, cancel=cancel,
            on_line=lambda _: cancel.set())  # fmt: skip


def test_hands_on_every_line(tmp_path: Path) -> None:
    lines: list[str] = []
    run(
        ["sh", "-c", "echo one; echo two >&2; printf three"],
        log=tmp_path / "x.log",
        limit=10,
        on_line=lines.append,
    )
    assert lines == ["one", "two", "three"]
