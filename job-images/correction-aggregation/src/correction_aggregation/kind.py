"""The job kind: `bullherd-worker correction_aggregation.kind` works the queue with it.

The settings are read when this module is loaded, so that a worker with wrong ones does not start at all
and burns no item.
"""

from __future__ import annotations

from datetime import UTC, datetime

from bullherd_worker import PlainJobContext, job
from correction_aggregation.aggregate import AggregationResult, Progress, aggregate
from correction_aggregation.database import open_engine
from correction_aggregation.due import as_of
from correction_aggregation.errors import AbandonedError
from correction_aggregation.request import AggregationRequest
from correction_aggregation.settings import database_settings, target_settings
from correction_aggregation.target import open_target
from correction_aggregation.time_range import iso_utc

TIMEOUT_S = 3600

engine = open_engine(database_settings().url())
target = open_target(target_settings().training_data_url)


@job("correction-aggregation", data=AggregationRequest, result=AggregationResult, timeout=TIMEOUT_S)
def aggregate_corrections(data: AggregationRequest, context: PlainJobContext) -> AggregationResult:
    now = datetime.now(UTC)
    time_range = data.time_range(as_of(context.id, context.due, now))
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
