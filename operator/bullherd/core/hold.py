"""Replicas that a person has set by hand, and wants kept for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bullherd.api import GROUP, QueueJob

HOLD_ANNOTATION = f"{GROUP}/hold-replicas-until"


@dataclass(frozen=True, slots=True)
class Hold:
    """``left``: seconds that it lasts yet; None for one whose end cannot be read, which lasts until it is
    mended: whoever wrote it wanted the replicas left alone.
    """

    written: str
    left: float | None


def hold_of(job: QueueJob, now: float) -> Hold | None:
    """The hold that is in force at ``now``, or None."""
    written = job.metadata.annotations.get(HOLD_ANNOTATION)
    if written is None:
        return None
    try:
        until = datetime.fromisoformat(written.strip())
    except ValueError:
        return Hold(written, None)
    if until.tzinfo is None:
        return Hold(written, None)
    left = until.timestamp() - now
    return Hold(written, left) if left > 0 else None
