"""What a person is told when something does not work: what happened, why, and what to do about it."""

from pathlib import Path


class DevError(Exception):
    """A failure with an explanation; shown without a traceback.

    `what` is one sentence. `why` holds what is known about the cause (often the last lines of a program),
    `todo` what the reader can do, `log` the file with everything that the program said.
    """

    def __init__(self, what: str, *, why: str = "", todo: str = "", log: Path | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why.strip()
        self.todo = todo
        self.log = log
        self.step = ""
        """The step that it happened in, filled in on the way up."""

    def __str__(self) -> str:
        parts = [f"{self.step}: {self.what}" if self.step else self.what]
        if self.why:
            parts.append("\n".join(f"    {line}" for line in self.why.splitlines()))
        if self.log:
            parts.append(f"  everything it said: {self.log}")
        if self.todo:
            parts.append(f"  what to do: {self.todo}")
        return "\n".join(parts)


class Cancelled(Exception):  # noqa: N818 - it is no error
    """Another step failed or the user pressed Ctrl-C; this one gave up and cleaned up after itself."""
