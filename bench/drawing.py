"""What was seen in a run under an HPA, and its picture: items above, replicas below, one time for both.

The picture is an SVG with its text as text. It is drawn for light paper; a style in it says what each colour
is on dark paper, for whoever reads it there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PAPER, INK, GRID = "#ffffff", "#24292f", "#d8dee4"
WAITING, ACTIVE = "#f0a35e", "#3b82d0"
BAND, REPLICAS, READY, DESIRED = "#dce9f7", "#0b4f9e", "#2f9e5b", "#7a828c"
WAKE, GROWN, SHRUNK, SLEEP = "#b3420e", "#0b4f91", "#8250df", "#57606a"
ON_DARK = {
    PAPER: "#0d1117", INK: "#e6edf3", GRID: "#2b323b",
    WAITING: "#c9752d", ACTIVE: "#2f74c0",
    BAND: "#16304d", REPLICAS: "#79c0ff", READY: "#56d364", DESIRED: "#9aa4af",
    WAKE: "#ff9b66", GROWN: "#79c0fe", SHRUNK: "#d2a8ff", SLEEP: "#b1bac4",
}  # fmt: skip

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bullherd",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "legend.facecolor": PAPER,
    "legend.edgecolor": GRID,
    "legend.framealpha": 1.0,
}


@dataclass(frozen=True)
class Load:
    """Between these seconds so many items were added in a second."""

    since: float
    until: float
    items: int


@dataclass(frozen=True)
class Sample:
    """One look. ``least`` and ``most`` are the HPA's bounds."""

    at: float
    waiting: int
    active: int
    desired: int
    replicas: int
    ready: int
    least: int
    most: int


@dataclass(frozen=True)
class Step:
    """A change of replicas."""

    at: float
    before: int
    after: int


@dataclass(frozen=True)
class Timeline:
    """A whole run, in seconds from its begin."""

    loads: tuple[Load, ...]
    samples: tuple[Sample, ...]
    steps: tuple[Step, ...]


def draw(run: Timeline) -> str:
    """The picture."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        items, replicas = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
        _draw_items(items, run)
        _draw_replicas(replicas, run)
        for axes in (items, replicas):
            axes.grid(axis="y", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.margins(x=0)
        replicas.set_xlabel("seconds")
        written = io.StringIO()
        nothing_of_this_machine = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=nothing_of_this_machine)
    return _for_dark_paper_too(written.getvalue())


def _draw_items(axes: Axes, run: Timeline) -> None:
    at = [one.at for one in run.samples]
    active, waiting = [one.active for one in run.samples], [one.waiting for one in run.samples]
    axes.stackplot(at, active, waiting, colors=(ACTIVE, WAITING), labels=("in work", "waiting"))
    axes.set_ylabel("items")
    axes.set_ylim(0, 1.15 * max(map(sum, zip(active, waiting, strict=True))))
    axes.legend(loc="upper right")
    above = axes.get_xaxis_transform()
    for load in run.loads:
        axes.axvline(load.since, color=INK, linewidth=0.6, linestyle=":")
        told = f"{load.items} / s" if load.items else "0"
        axes.text((load.since + load.until) / 2, 1.03, told, transform=above, ha="center", fontsize=9)
    axes.text(-1, 1.03, "added", transform=above, ha="right", fontsize=9)


def _draw_replicas(axes: Axes, run: Timeline) -> None:
    at = [one.at for one in run.samples]
    least, most = [one.least for one in run.samples], [one.most for one in run.samples]
    axes.fill_between(at, least, most, where=[one.replicas > 0 for one in run.samples], step="post",
                      color=BAND, linewidth=0, label="where the HPA may choose")  # fmt: skip
    axes.step(at, [one.desired for one in run.samples], where="post", color=DESIRED, linewidth=1.2,
              linestyle="--", label="desired by Bullherd")  # fmt: skip
    axes.step(at, [one.ready for one in run.samples], where="post", color=READY, linewidth=1.4, label="ready")
    axes.step(*_line(run), where="post", color=REPLICAS, linewidth=2, label="replicas")
    for label, marker, color, marked in _marks(run.steps):
        axes.plot([one.at for one in marked], [one.after for one in marked], linestyle="none", marker=marker,
                  markersize=8, color=color, label=label)  # fmt: skip
    axes.set_ylabel("replicas")
    axes.set_ylim(-0.4, max(most) + 0.6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False)


def _line(run: Timeline) -> tuple[list[float], list[int]]:
    """The replicas as steps at their own moments."""
    first, last = run.samples[0], run.samples[-1]
    at = [first.at, *(step.at for step in run.steps), last.at]
    return at, [first.replicas, *(step.after for step in run.steps), last.replicas]


def _marks(steps: Sequence[Step]) -> Iterator[tuple[str, str, str, list[Step]]]:
    """Who did it: from and to 0 the operator, in between the HPA."""
    yield "wake, by the operator", "^", WAKE, [one for one in steps if one.before == 0]
    yield "more, by the HPA", "o", GROWN, [one for one in steps if 0 < one.before < one.after]
    yield "fewer, by the HPA", "v", SHRUNK, [one for one in steps if 0 < one.after < one.before]
    yield "to zero, by the operator", "s", SLEEP, [one for one in steps if one.after == 0]


def _for_dark_paper_too(svg: str) -> str:
    rules = [
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important }}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    ]
    style = "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}\n"
    return svg.replace("</defs>", f"<style>\n{style}</style>\n</defs>", 1)
