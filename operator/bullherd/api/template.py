"""The worker's pod, as the author wrote it.

Only what every worker needs is checked here. The rest of a pod is the API server's to judge, by a dry run,
so that a field of tomorrow's Kubernetes works today.
"""

from __future__ import annotations

from typing import Annotated, Any, Required

from pydantic import ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema
from typing_extensions import TypedDict

from bullherd.api.base import ApiModel
from bullherd.api.values import matching


class Container(TypedDict, total=False):
    """One container of the worker's pod: any field of Kubernetes' Container."""

    __pydantic_config__ = ConfigDict(extra="allow", use_attribute_docstrings=True)  # type: ignore[misc]

    name: Required[
        Annotated[
            str,
            Field(min_length=1, max_length=63),
            matching(
                r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
                "a container's name has only lower case letters, digits and '-', and no '-' at its ends",
            ),
        ]
    ]
    """Name of the container, once in the pod."""
    image: Required[Annotated[str, Field(min_length=1)]]
    """Image to run: a worker that serves the queue named in QUEUE_NAME."""


class PodSpec(TypedDict, total=False):
    """Any field of Kubernetes' PodSpec."""

    __pydantic_config__ = ConfigDict(extra="allow", use_attribute_docstrings=True)  # type: ignore[misc]

    containers: Required[
        Annotated[
            list[Container],
            Field(
                min_length=1,
                max_length=100,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
    ]
    """Containers of the pod, one at least."""


class _CheckedAs:
    """Check a plain dict by a TypedDict, and leave it a plain dict for those who build pods from it."""

    def __init__(self, shape: type) -> None:
        self.shape = shape

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.shape)


class PodTemplateMetadata(ApiModel):
    """What to write on each worker's pod."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the pods. Bullherd adds its own, under bullherd.dev/ and app.kubernetes.io/."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the pods."""


class PodTemplate(ApiModel):
    """The worker's pod, as in a Deployment."""

    metadata: PodTemplateMetadata = PodTemplateMetadata()
    """Labels and annotations of the pods."""
    spec: Annotated[dict[str, Any], _CheckedAs(PodSpec)]
    """The pod: any field of Kubernetes' PodSpec. Bullherd adds the environment that says which Redis and
    queue to work."""
