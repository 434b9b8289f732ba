"""Every setting of a process in one tree, from the environment (``BULLHERD_…``) and flags; read once at
start.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from typing_extensions import TypeAliasType

from bullherd.core.budget import Limits
from bullherd.core.election import LeaseTerms

Names = TypeAliasType("Names", tuple[str, ...])
"""A type with a name of its own, which --help shows."""

BudgetsJson = TypeAliasType("BudgetsJson", dict[str, int])

OTHER_NAMESPACES = "*"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


class ProcessSettings(BaseSettings):
    """What every process of Bullherd is told."""

    model_config = SettingsConfigDict(env_prefix="BULLHERD_", frozen=True, extra="ignore")

    namespace: str = Field("default", description="The namespace that Bullherd itself runs in.")
    pod_name: str = Field(
        default_factory=socket.gethostname,
        description="Name of this process; in a cluster the pod's.",
    )
    watch_namespaces: Annotated[Names, NoDecode] = Field(
        (), description="Namespaces to watch, separated by commas; none means all."
    )
    connections_dir: Path = Field(
        Path("/etc/bullherd/connections"), description="Folder of the named connections, <name>.yaml each."
    )
    http_host: str = Field("0.0.0.0", description="Address of /healthz, /readyz and /metrics.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto is console on a terminal, else json."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level to log.")
    tick_seconds: float = Field(
        1.0, ge=0.1, le=60, description="Seconds between two reads of all queues of a Redis server."
    )
    resync_seconds: float = Field(
        60.0,
        ge=5,
        description="Seconds between two full lists of QueueJobs, the safety net under the watches.",
    )

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


class OperatorSettings(ProcessSettings):
    """Run the operator: watch QueueJobs and scale their workers."""

    lease_name: str = Field(
        "bullherd-operator", description="The Lease, in its own namespace, that chooses the active operator."
    )
    lease_duration_seconds: float = Field(
        10.0, ge=3, description="A Lease not renewed for this long may be taken over."
    )
    priority_class_prefix: str = Field(
        "", description="PriorityClasses are <prefix>high|medium|low; empty means that pods get none."
    )
    stalled_check_seconds: float = Field(
        30.0,
        ge=1,
        le=600,
        description="Seconds between two checks for items whose worker died (BullMQ's stalledInterval).",
    )
    max_stalled_count: int = Field(
        1, ge=0, description="How often an item may stall before it fails (BullMQ's maxStalledCount)."
    )
    metrics_service: str = Field(
        "",
        description="The Service, in the operator's own namespace, of the server for external metrics; empty "
        "means that there is none, so that HPAs cannot work.",
    )
    max_total_replicas: int = Field(
        0, ge=0, description="Most replicas of all QueueJobs together; 0 is no limit."
    )
    namespace_budgets: Annotated[BudgetsJson, NoDecode] = Field(
        {},
        description='Most replicas of all QueueJobs of a namespace, as JSON: {"shop": 50, "*": 20}; * is each'
        " namespace that is not named, and what is neither has no limit.",
    )

    @field_validator("namespace_budgets", mode="before")
    @classmethod
    def _read_budgets(cls, value: object) -> object:
        return _budgets(value) if isinstance(value, str) else value

    @property
    def budget_limits(self) -> Limits:
        """What replicas are limited to."""
        namespaces = dict(self.namespace_budgets)
        others = namespaces.pop(OTHER_NAMESPACES, None)
        return Limits(self.max_total_replicas or None, namespaces, others)

    @property
    def lease_terms(self) -> LeaseTerms:
        """client-go's proportions: renew by two thirds of the duration, try six times in it."""
        duration = self.lease_duration_seconds
        return LeaseTerms(duration, renew_deadline=duration * 2 / 3, retry_period=duration / 6)


class ServerSettings(ProcessSettings):
    """Run the server: external metrics for HPAs, as an aggregated API."""

    https_host: str = Field("0.0.0.0", description="Address of the aggregated API.")
    https_port: int = Field(6443, ge=0, le=65535, description="Port of the aggregated API.")
    service_name: str = Field(
        "bullherd-server",
        description="The Service, in its own namespace, that leads here; the certificate is for it.",
    )
    certificate_secret: str = Field(
        "bullherd-server-tls",
        description="The Secret, in its own namespace, that all replicas keep their certificate in.",
    )
    certificate_lifetime_seconds: float = Field(
        90 * 86_400.0, ge=10, description="How long a certificate is good for; renewed with a third left."
    )
    authentication_config_map: str = Field(
        "kube-system/extension-apiserver-authentication",
        description="<namespace>/<name> of the ConfigMap in which the API servers say who they are.",
    )
    stale_after_seconds: float = Field(
        60.0,
        ge=15,
        description="A value that was read longer ago than this is not given out; empty queues are read each "
        "10 s.",
    )


def _budgets(text: str) -> dict[str, int]:
    try:
        budgets = json.loads(text or "{}")
    except ValueError as problem:
        raise _no_budgets(f"it is no JSON ({problem})") from None
    if not isinstance(budgets, dict):
        raise _no_budgets("it is no JSON object")
    for namespace, replicas in budgets.items():
        if namespace != OTHER_NAMESPACES and not _NAMESPACE.fullmatch(namespace):
            raise _no_budgets(f"{namespace!r} is no name of a namespace")
        if type(replicas) is not int or replicas < 0:
            raise _no_budgets(f"{namespace} has {json.dumps(replicas)}, which is no number of replicas")
    return budgets


def _no_budgets(why: str) -> PydanticCustomError:
    return PydanticCustomError(
        "budgets",
        "{why}. Write namespaces with their most replicas, such as {example}",
        {"why": why, "example": '{"shop": 50, "*": 20}'},
    )
