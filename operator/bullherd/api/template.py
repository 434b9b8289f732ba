"""The worker's pod, as the author wrote it."""

from __future__ import annotations

from typing import Annotated, Any, Required

from pydantic import Field, JsonValue
from typing_extensions import TypedDict

from bullherd.api.base import ApiModel
from bullherd.api.passthrough import OPEN, CheckedAs
from bullherd.api.values import matching

MOST_CONTAINERS = 100
"""A bound that nobody reaches; without one the API server finds the rule about their names too dear."""


def _map_by(key: str) -> dict[str, JsonValue]:
    """A list whose entries are told apart by a key, for server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class EnvironmentVariable(TypedDict, total=False):
    """One environment variable: any field of Kubernetes' EnvVar."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    name: Required[Annotated[str, Field(min_length=1)]]
    """Name of the variable."""


class VolumeMount(TypedDict, total=False):
    """One mount: any field of Kubernetes' VolumeMount."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    name: Required[Annotated[str, Field(min_length=1)]]
    """Name of the volume."""


class Volume(TypedDict, total=False):
    """One volume: any field of Kubernetes' Volume."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    name: Required[Annotated[str, Field(min_length=1)]]
    """Name of the volume, once in the pod."""


class Container(TypedDict, total=False):
    """One container of the worker's pod: any field of Kubernetes' Container."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

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
    """Image to run."""
    env: list[EnvironmentVariable]
    """Variables of your own. Where one has the name of one of Bullherd's, yours is taken."""
    volumeMounts: list[VolumeMount]
    """Mounts of your own."""


Containers = Annotated[
    list[Container], Field(min_length=1, max_length=MOST_CONTAINERS, json_schema_extra=_map_by("name"))
]
InitContainers = Annotated[
    list[Container], Field(max_length=MOST_CONTAINERS, json_schema_extra=_map_by("name"))
]


class PodSpec(TypedDict, total=False):
    """The pod: any field of Kubernetes' PodSpec."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    containers: Required[Containers]
    """Containers of the pod, each with a name and an image. One at least; one of them works the queue."""
    initContainers: InitContainers
    """Containers that run before the others."""
    volumes: Annotated[list[Volume], Field(json_schema_extra=_map_by("name"))]
    """Volumes of your own."""


class PodTemplateMetadata(ApiModel):
    """What is written on each of the pods."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the pods. Bullherd adds its own."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the pods."""


class PodTemplate(ApiModel):
    """The worker's pod, as in a Deployment. Any image that works a BullMQ queue will do.

    Each container gets REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB, REDIS_TLS,
    QUEUE_NAME, QUEUE_PREFIX, QUEUE_CONCURRENCY and WORKER_NAME.
    """

    metadata: PodTemplateMetadata = PodTemplateMetadata()
    spec: Annotated[dict[str, Any], CheckedAs(PodSpec)]
