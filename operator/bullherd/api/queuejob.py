"""QueueJob: a BullMQ queue, and the pods that work it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from bullherd.api.autoscaler import Behavior, Metrics
from bullherd.api.base import ApiModel
from bullherd.api.errors import InvalidQueueJob
from bullherd.api.floors import FloorSpec
from bullherd.api.metadata import ObjectMeta
from bullherd.api.redis import RedisSpec
from bullherd.api.rules import Rule
from bullherd.api.status import QueueJobStatus
from bullherd.api.template import PodTemplate
from bullherd.api.values import Int32, matching

LONGEST_NAME = 46
"""Leaves room for the 17 characters that a Deployment adds to its pods' names; a host name has 63 at most.
A limit can be raised later, never lowered."""


class Priority(StrEnum):
    """Who goes first when there is not room for all."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Mode(StrEnum):
    """How items become work."""

    WORKERS = "Workers"


class Engine(StrEnum):
    """Who sets the number of replicas."""

    HPA = "HPA"
    DIRECT = "Direct"


class QueueRef(ApiModel):
    """The BullMQ queue to work, as the app names it: `new Queue(name, {prefix})`. Cannot be changed later."""

    RULES = (
        Rule(
            "self == oldSelf",
            "the queue of a QueueJob cannot be changed: what is left in the old queue would have no workers. "
            "Make a second QueueJob for the other queue, and delete this one when its queue is empty",
        ),
    )

    name: Annotated[
        str,
        Field(min_length=1, max_length=253),
        matching(
            r"[!-9;-~]+",
            "a queue's name is printable ASCII without spaces and ':', as BullMQ's workers take no other",
        ),
    ]
    """Name of the queue in BullMQ: printable ASCII without spaces and ':'."""
    prefix: Annotated[
        str,
        Field(min_length=1, max_length=253),
        matching(
            r"[!-~]*[!-9;-~]", "a prefix is printable ASCII without spaces, and its last character is no ':'"
        ),
    ] = "bull"
    """BullMQ's prefix: the queue's keys start with `prefix:name:`. May hold a {tag} for Redis Cluster."""


class ScalingSpec(ApiModel):
    """How many workers there are: ceil(backlog / itemsPerReplica), within minReplicas and maxReplicas.

    The backlog is what waits, what is due, and what is in work. More workers come at once and in one step;
    fewer only after cooldownSeconds, and never fewer than the items in work need.
    """

    RULES = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas",
            lambda scaling: scaling.min_replicas <= scaling.max_replicas,
        ),
    )

    min_replicas: Annotated[Int32, Field(ge=0, le=10_000)] = 0
    """Workers to keep when there is nothing to do. With 0 there are none, and the first item starts one."""
    max_replicas: Annotated[Int32, Field(ge=1, le=10_000)] = 10
    """Most workers at once, however long the backlog. At least minReplicas."""
    items_per_replica: Annotated[Int32, Field(ge=1, le=1_000_000)] | None = None
    """Backlog that one worker is enough for. More means fewer workers, and items that wait longer.
    Default: spec.concurrency."""
    engine: Engine = Engine.HPA
    """Who sets the Deployment's replicas. HPA: a HorizontalPodAutoscaler that Bullherd makes, and Bullherd
    itself from and to 0. Direct: Bullherd alone, which needs no external metrics and is faster."""
    activation_backlog: Annotated[Int32, Field(ge=0, le=1_000_000)] = 0
    """Backlog that may lie while there are no workers: only more than this starts some."""
    cooldown_seconds: Annotated[Int32, Field(ge=0, le=86_400)] = 60
    """Seconds that the queue must have been idle before the last workers are stopped."""
    scale_down_delay_seconds: Annotated[Int32, Field(ge=0, le=86_400)] | None = None
    """Seconds that the queue must have needed fewer workers before any are stopped; then as many are kept as
    it needed at most in that time. Default: cooldownSeconds."""
    max_scale_up_per_second: Annotated[Int32, Field(ge=1, le=10_000)] | None = None
    """Workers that may be added in a second, to spare what they connect to. Default: as many as are
    needed."""

    floors: Annotated[tuple[FloorSpec, ...], Field(max_length=20)] = ()
    """Times at which a rush is known to come, so that it meets workers that run already."""
    behavior: Behavior = Field(default_factory=dict)
    """How fast the HPA adds and removes workers, as in autoscaling/v2. Only with the engine HPA."""
    extra_metrics: Metrics = Field(default_factory=list)
    """More metrics for the HPA, as in autoscaling/v2; the one that asks for most workers counts. Only with
    the engine HPA."""

    @property
    def effective_scale_down_delay(self) -> int:
        """Seconds of less demand before workers are stopped."""
        delay = self.scale_down_delay_seconds
        return self.cooldown_seconds if delay is None else delay


class QueueJobSpec(ApiModel):
    """Which queue to work, with which pods, and how many of them."""

    queue: QueueRef
    redis: RedisSpec = RedisSpec(connection="default")
    priority: Priority = Priority.MEDIUM
    """Who goes first when the cluster is short: sets the pods' PriorityClass if the template does not."""
    mode: Mode = Mode.WORKERS
    """How items become work. Workers: a Deployment of pods that take items from the queue themselves."""
    concurrency: Annotated[Int32, Field(ge=1, le=1000)] = 1
    """Items that one worker works on at once. The pods get it as QUEUE_CONCURRENCY."""
    scaling: ScalingSpec = ScalingSpec()
    longest_item_seconds: Annotated[Int32, Field(ge=1, le=604_800)] | None = None
    """The longest that one item may take. A worker that is stopped gets so much time, and 15 s more, to end
    what it has begun: the pods' terminationGracePeriodSeconds, if the template has none."""
    template: PodTemplate

    @property
    def effective_items_per_replica(self) -> int:
        """What scaling divides the backlog by."""
        return self.scaling.items_per_replica or self.concurrency


class QueueJob(ApiModel):
    """A BullMQ queue, and the pods that work it.

    Bullherd starts the pods when there are items, and stops them when there are none.
    """

    RULES = (
        Rule(
            f"size(self.metadata.name) <= {LONGEST_NAME} && !self.metadata.name.contains('.')",
            f"a QueueJob's name has at most {LONGEST_NAME} characters and no '.': pods are named after it",
            lambda job: len(job.metadata.name) <= LONGEST_NAME and "." not in job.metadata.name,
        ),
    )

    metadata: ObjectMeta
    spec: QueueJobSpec
    status: QueueJobStatus | None = None

    @field_validator("status", mode="wrap")
    @classmethod
    def _status_is_ours(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> QueueJobStatus | None:
        """A status that does not parse was written by another version. It is written anew; no reason to
        refuse the spec."""
        try:
            status: QueueJobStatus | None = parse(value)
        except ValidationError:
            return None
        return status

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Read what the API server sent, or raise InvalidQueueJob with everything that is wrong."""
        try:
            return cls.model_validate(dict(body), by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidQueueJob.from_validation(error) from None
