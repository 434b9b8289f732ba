"""QueueJob: a BullMQ queue, and the pods that work it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from bullherd.api.base import ApiModel
from bullherd.api.errors import InvalidQueueJob
from bullherd.api.metadata import ObjectMeta
from bullherd.api.redis import RedisSpec
from bullherd.api.rules import Rule
from bullherd.api.status import QueueJobStatus
from bullherd.api.template import PodTemplate
from bullherd.api.values import Int32, matching

LONGEST_NAME = 46
"""Leaves room in 63 characters, the length of a host name, for what a Deployment adds to its pods' names
(17)."""


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

    DIRECT = "Direct"


class QueueRef(ApiModel):
    """A BullMQ queue: what the web app passes to `new Queue(name, {prefix})`."""

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
    """Name of the queue in BullMQ."""
    prefix: Annotated[
        str,
        Field(min_length=1, max_length=253),
        matching(
            r"[!-~]*[!-9;-~]", "a prefix is printable ASCII without spaces, and its last character is no ':'"
        ),
    ] = "bull"
    """BullMQ's prefix: all keys of the queue start with `prefix:name:`. May hold a {tag} for Redis
    Cluster."""


class ScalingSpec(ApiModel):
    """How many workers, from the backlog: ceil(backlog / itemsPerReplica), within minReplicas and
    maxReplicas, and never fewer than the items in work need."""

    RULES = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas",
            lambda scaling: scaling.min_replicas <= scaling.max_replicas,
        ),
    )

    min_replicas: Annotated[Int32, Field(ge=0, le=10_000)] = 0
    """Workers to keep when there is nothing to do. 0: none, and the first item starts one."""
    max_replicas: Annotated[Int32, Field(ge=1, le=10_000)] = 10
    """Most workers at once, however long the backlog."""
    items_per_replica: Annotated[Int32, Field(ge=1, le=1_000_000)] | None = None
    """Backlog for which one worker is enough. Default: spec.concurrency. Higher: fewer workers, and items
    wait longer."""
    engine: Engine = Engine.DIRECT
    """Who sets the number of replicas. Direct: the operator itself, up in one step and down after the
    cooldown."""
    cooldown_seconds: Annotated[Int32, Field(ge=0, le=86_400)] = 60
    """How long the queue must have needed fewer workers before some are stopped. Workers with items in
    work are counted as needed."""


class QueueJobSpec(ApiModel):
    """What is wanted."""

    queue: QueueRef
    """The queue to work. Cannot be changed later."""
    redis: RedisSpec = RedisSpec(connection="default")
    """Where the queue's Redis is. Default: the connection named default."""
    priority: Priority = Priority.MEDIUM
    """Who goes first when the cluster is short: sets the pods' PriorityClass."""
    mode: Mode = Mode.WORKERS
    """How items become work. Workers: a Deployment of pods that take items from the queue themselves."""
    concurrency: Annotated[Int32, Field(ge=1, le=1000)] = 1
    """Items that one worker works on at once; the pod gets it as QUEUE_CONCURRENCY."""
    scaling: ScalingSpec = ScalingSpec()
    """How many workers there are."""
    template: PodTemplate
    """The worker's pod. Bullherd adds the environment that says which Redis and queue to work."""

    @property
    def effective_items_per_replica(self) -> int:
        """What scaling divides the backlog by."""
        return self.scaling.items_per_replica or self.concurrency


class QueueJob(ApiModel):
    """A BullMQ queue, and the pods that work it: Bullherd starts them when there are items, and stops them
    when there are none."""

    RULES = (
        Rule(
            f"size(self.metadata.name) <= {LONGEST_NAME} && !self.metadata.name.contains('.')",
            f"a QueueJob's name has at most {LONGEST_NAME} characters and no '.': pods are named after it",
            lambda job: len(job.metadata.name) <= LONGEST_NAME and "." not in job.metadata.name,
        ),
    )

    metadata: ObjectMeta
    """Kubernetes' standard metadata."""
    spec: QueueJobSpec
    """What is wanted."""
    status: QueueJobStatus | None = None
    """What the operator saw and did."""

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
