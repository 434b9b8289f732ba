"""The parts of Kubernetes' own types that the operator reads and writes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bullherd.api.base import ApiModel
from bullherd.api.values import Int64, Timestamp

LONGEST_MESSAGE = 32768


def _shortened(message: Any) -> Any:
    """What another program said may be long; better a part of it than no status at all."""
    return message[:LONGEST_MESSAGE] if isinstance(message, str) else message


class ObjectMeta(ApiModel):
    """Kubernetes' standard metadata, as far as the operator needs it."""

    name: str
    """Name of the QueueJob, and of its Deployment."""
    namespace: str = "default"
    """Namespace of the QueueJob and of all that belongs to it."""
    uid: str = ""
    """What the API server gave it; a resource of the same name made anew has another one."""
    generation: Int64 = 0
    """Counts the changes of spec."""
    creation_timestamp: Timestamp = datetime.fromtimestamp(0, UTC)
    """When it was made."""
    deletion_timestamp: Timestamp | None = None
    """When somebody asked to delete it; absent while nobody has."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the QueueJob."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the QueueJob."""


class ConditionStatus(StrEnum):
    """Unknown is an answer of its own, neither yes nor no."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One thing that is true or not of the QueueJob, in Kubernetes' standard form."""

    type: Annotated[str, Field(max_length=316, pattern=r"^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
    """What the condition is about, for example Ready."""
    status: ConditionStatus
    """Whether it is so."""
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ]
    """One word for programs that says why."""
    message: Annotated[str, Field(max_length=LONGEST_MESSAGE), BeforeValidator(_shortened)]
    """A sentence for people that says why and, where something is wrong, what to do."""
    last_transition_time: Timestamp
    """When the status last changed from one value to another."""
    observed_generation: Annotated[Int64, Field(ge=0)] | None = None
    """The generation of the spec that the condition speaks of. Lower than metadata.generation: it is not
    about the newest spec yet."""
