"""What a QueueJob hands on to its HorizontalPodAutoscaler, in the words of autoscaling/v2."""

from __future__ import annotations

from typing import Annotated, Any, Required

from pydantic import Field
from typing_extensions import TypedDict

from bullherd.api.passthrough import OPEN, CheckedAs


class ScalingRules(TypedDict, total=False):
    """How fast replicas change in one direction: any field of Kubernetes' HPAScalingRules."""

    __pydantic_config__ = OPEN  # type: ignore[misc]


class ScalingBehavior(TypedDict, total=False):
    """The behavior of the HPA: any field of Kubernetes' HorizontalPodAutoscalerBehavior."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    scaleUp: ScalingRules
    """How fast workers are added. Default: as many as are needed, at once."""
    scaleDown: ScalingRules
    """How fast workers are removed, once Bullherd lets them go. Default: all that are not needed, at once."""


class Metric(TypedDict, total=False):
    """One more metric: any field of Kubernetes' MetricSpec."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    type: Required[Annotated[str, Field(min_length=1)]]
    """Kind of metric: Resource, ContainerResource, Pods, Object or External."""


Behavior = Annotated[dict[str, Any], CheckedAs(ScalingBehavior)]
Metrics = Annotated[list[dict[str, Any]], CheckedAs(list[Metric]), Field(max_length=10)]
