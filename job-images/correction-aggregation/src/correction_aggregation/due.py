"""From which moment "the previous day" counts, when an item does not name its day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SCHEDULED = re.compile(r"repeat:.+:(\d{1,14})", re.DOTALL)


def as_of(item_id: str, due: datetime | None, now: datetime) -> datetime:
    """When the item was due. So an item of one o'clock that could only be worked the day after (the database
    was away, the cluster was full) still means the day before its own, and so does each of its attempts.

    For items of its schedulers BullMQ writes the time into the id, `repeat:<scheduler>:<milliseconds>`; their
    creation and delay add up to it only roughly, which at midnight would be another day. One promoted
    before its time counts from now: the day before its due time may not be over.
    """
    scheduled = SCHEDULED.fullmatch(item_id)
    if scheduled is not None:
        due = datetime.fromtimestamp(int(scheduled[1]) / 1000, UTC)
    return now if due is None else min(now, due)
