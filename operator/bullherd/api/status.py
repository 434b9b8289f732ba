"""What the operator tells about a QueueJob.

Every field may be absent, and absent means unknown, never zero. Every field that is written must be declared
here: the API server drops others without a word.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bullherd.api.base import ApiModel
from bullherd.api.metadata import Condition
from bullherd.api.values import Int32, Int64, PreciseTimestamp, Timestamp

Count = Annotated[Int64, Field(ge=0)]
Replicas = Annotated[Int32, Field(ge=0)]


class QueueCounts(ApiModel):
    """How many items are in each of BullMQ's states, all counted at the same moment."""

    waiting: Count | None = None
    """Items that a worker takes next, oldest first."""
    prioritized: Count | None = None
    """Items with a priority, which wait until no plain ones do."""
    paused: Count | None = None
    """Items that BullMQ 5 set aside when the queue was paused. BullMQ 6 leaves them in waiting."""
    delayed: Count | None = None
    """Items that are to start at a later time, with those whose time has come."""
    delayed_due: Count | None = None
    """Delayed items whose time has come."""
    active: Count | None = None
    """Items that workers are working on."""
    waiting_children: Count | None = None
    """Items of a flow that wait for their children."""
    completed: Count | None = None
    """Items that ended well and are still kept in Redis."""
    failed: Count | None = None
    """Items that failed for good and are still kept in Redis."""


class ScaleIn(ApiModel):
    """A scale-in that waits for its time to come. Kept here so that a restarted operator goes on with it."""

    since: PreciseTimestamp | None = None
    """Since when the queue has needed fewer replicas than it has."""
    peak: Replicas | None = None
    """The most replicas that it needed since then."""


class ScalingChange(ApiModel):
    """One change of the number of replicas."""

    time: Timestamp | None = None
    """When it was seen."""
    from_: Annotated[Replicas | None, Field(alias="from")] = None
    """Replicas before."""
    to: Replicas | None = None
    """Replicas after."""
    reason: str | None = None
    """Why, in words."""


class ScalingStatus(ApiModel):
    """How many workers there should be, and why."""

    engine: str | None = None
    """Who sets the replicas now. Differs from spec.scaling.engine where that one cannot work; the condition
    AutoscalerActive then says why."""
    desired_replicas: Replicas | None = None
    """Worker pods that the backlog calls for."""
    reason: str | None = None
    """Why the queue has as many workers as it has, in words."""
    scale_in: ScaleIn | None = None
    changes: tuple[ScalingChange, ...] = ()
    """The last changes of the number of replicas, newest first."""


class QueueJobStatus(ApiModel):
    """What the operator saw and did. Absent fields are unknown."""

    observed_generation: Count | None = None
    """The generation of the spec that the status speaks of."""
    backlog: Count | None = None
    """Items that a worker could start now, or is working on."""
    counts: QueueCounts | None = None
    replicas: Replicas | None = None
    """Worker pods that there are."""
    ready_replicas: Replicas | None = None
    """Worker pods that are ready."""
    scaling: ScalingStatus | None = None
    oldest_item_age_seconds: Count | None = None
    """How long the oldest item has waited that could have been started. Absent when none waits."""
    paused: bool | None = None
    """Whether the queue is paused in BullMQ. A paused queue needs no workers."""
    snapshot_time: Timestamp | None = None
    """When Redis was read for these counts."""
    bullmq_version: str | None = None
    """BullMQ version that the web app uses, for example 5.81.5. Absent when the queue does not say."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """What is so and what is not: Ready says whether the queue is being worked as asked, and if not, why
    and what to do."""

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it was ever written."""
        return next((condition for condition in self.conditions if condition.type == type_), None)
