"""The job kind: `bullherd-worker correction_aggregation.kind` works the queue with it.

The settings are read when this module is loaded, so that a worker with wrong ones does not start at all
and burns no item.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bullherd_worker import PlainJobContext, job
from correction_aggregation.aggregate import AggregationResult, Progress, aggregate
from correction_aggregation.database import open_engine
from correction_aggregation.errors import AbandonedError
from correction_aggregation.request import AggregationRequest
from correction_aggregation.settings import database_settings, target_settings
from correction_aggregation.target import open_target
from correction_aggregation.time_range import iso_utc

TIMEOUT_S = 3600

engine = open_engine(database_settings().url())
target = open_target(target_settings().training_data_url)


def as_of(item_id: str, now: datetime) -> datetime:
    """When the item was due: the moment from which "the previous day" counts.

    BullMQ writes it into the ids of the items that its schedulers add, `repeat:<scheduler>:<milliseconds>`.
    An item of one o'clock that could only be worked the day after (the database was away, the cluster full)
    still means the day before its own, not the one before now. A scheduled item that is promoted early has
    its due time in the future and counts from now, like every item that was added by hand.
    """
    scheduled = re.fullmatch(r"repeat:.+:(\d{1,15})", item_id)
    if scheduled is None:
        return now
    return min(now, datetime.fromtimestamp(int(scheduled[1]) / 1000, UTC))


@job("correction-aggregation", data=AggregationRequest, result=AggregationResult, timeout=TIMEOUT_S)
def aggregate_corrections(data: AggregationRequest, context: PlainJobContext) -> AggregationResult:
    now = datetime.now(UTC)
    time_range = data.time_range(as_of(context.id, now))
    context.log(f"aggregating corrections from {iso_utc(time_range.start)} to {iso_utc(time_range.end)}")
    if time_range.end > now:
        context.log("the range is not over yet: corrections that arrive later need another run")

    def report(progress: Progress) -> None:
        if context.cancelled:
            raise AbandonedError("stopped before anything was published: time limit, lost lock or shutdown")
        context.progress(progress.model_dump(by_alias=True))

    result = aggregate(time_range, engine, target, report)
    context.log(
        f"{result.preference_pairs} preference pairs and {result.supervised_pairs} supervised pairs from "
        f"{result.rows.read} rows: {result.manifest}"
    )
    return result
