"""From which moment "the previous day" counts, when an item does not name its day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SCHEDULED = re.compile(r"repeat:.+:(\d{1,14})", re.DOTALL)


def as_of(item_id: str, now: datetime) -> datetime:
    """When the item was due, if a scheduler of BullMQ added it, else now.

    BullMQ writes the due time into the ids of such items, `repeat:<scheduler>:<milliseconds>`. So an item of
    one o'clock that could only be worked the day after (the database was away, the cluster was full) still
    means the day before its own. One that was promoted before its time counts from now: the day before its
    due time may not be over.
    """
    scheduled = SCHEDULED.fullmatch(item_id)
    if scheduled is None:
        return now
    return min(now, datetime.fromtimestamp(int(scheduled[1]) / 1000, UTC))
