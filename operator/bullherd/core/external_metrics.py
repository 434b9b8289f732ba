"""The values of ``external.metrics.k8s.io``, and when there are none to give.

An HPA adds up all values that it gets, so a missing one would be a smaller sum: as soon as one of the
selected queues was not read lately, the answer is that nothing is known, and the HPA holds the replicas.
Lately means ``stale_after``: until then the last value stands, with the time at which it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bullherd.core.api_status import Refusal, unavailable
from bullherd.core.demand import demand_of
from bullherd.core.policy import ScalingPolicy
from bullherd.core.snapshot import QueueKey, QueueSnapshot

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
LIST_KIND = "ExternalMetricValueList"

QUEUEJOB = "queuejob"
"""The label with the QueueJob's name."""


def labels_of(queuejob: str, queue: QueueKey | None) -> dict[str, str]:
    """What selectors see. ``queue`` None: the QueueJob cannot be understood, so nobody knows which it is."""
    of_queue = {"queue": queue.name, "prefix": queue.prefix} if queue is not None else {}
    return {QUEUEJOB: queuejob, **of_queue}


@dataclass(frozen=True, slots=True)
class MeasuredQueue:
    """A QueueJob's queue as it was read last. ``problem``: why it is not read now, if it is not."""

    labels: Mapping[str, str]
    policy: ScalingPolicy | None = None
    snapshot: QueueSnapshot | None = None
    problem: str | None = None


def _backlog(policy: ScalingPolicy, snapshot: QueueSnapshot) -> float:
    return demand_of(policy, snapshot).items


def _waiting(_: ScalingPolicy, snapshot: QueueSnapshot) -> float:
    return snapshot.waiting + snapshot.prioritized + snapshot.paused_list


def _active(_: ScalingPolicy, snapshot: QueueSnapshot) -> float:
    return snapshot.active


def _delayed_due(_: ScalingPolicy, snapshot: QueueSnapshot) -> float:
    return snapshot.delayed_due


def _oldest_item_age(_: ScalingPolicy, snapshot: QueueSnapshot) -> float:
    return snapshot.oldest_item_age or 0.0


METRICS: Mapping[str, Callable[[ScalingPolicy, QueueSnapshot], float]] = {
    "bullherd_queue_backlog": _backlog,
    "bullherd_queue_waiting": _waiting,
    "bullherd_queue_active": _active,
    "bullherd_queue_delayed_due": _delayed_due,
    "bullherd_queue_oldest_item_age_seconds": _oldest_item_age,
}
"""By name; each as of the moment at which the queue was read."""


def values_of(
    metric: str, queues: Iterable[MeasuredQueue], now: float, stale_after: float
) -> dict[str, Any] | Refusal:
    """The list of values of a known metric for these queues, or why there is none. Times in seconds."""
    items = []
    for queue in queues:
        if queue.policy is None or queue.snapshot is None or now - queue.snapshot.taken_at > stale_after:
            return unavailable(_why_unknown(queue, now, stale_after))
        items.append(_value(metric, queue.labels, queue.policy, queue.snapshot))
    return {"kind": LIST_KIND, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}


def _value(
    metric: str, labels: Mapping[str, str], policy: ScalingPolicy, snapshot: QueueSnapshot
) -> dict[str, Any]:
    return {
        "metricName": metric,
        "metricLabels": labels,
        "timestamp": datetime.fromtimestamp(snapshot.taken_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": quantity(METRICS[metric](policy, snapshot)),
    }


def quantity(value: float) -> str:
    """A Kubernetes quantity, to the thousandth."""
    thousandths = round(value * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def _why_unknown(queue: MeasuredQueue, now: float, stale_after: float) -> str:
    whose = f"The queue of the QueueJob {queue.labels[QUEUEJOB]!r}"
    reason = f": {queue.problem}" if queue.problem else "."
    if queue.snapshot is None:
        return f"{whose} has not been read yet{reason}"
    age = now - queue.snapshot.taken_at
    return (
        f"{whose} was read {age:.0f} s ago, and nothing older than {stale_after:.0f} s is given out{reason}"
    )
