"""Every setting of the operator in one tree, from the environment (``BULLHERD_…``) and flags; read once at
start.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from typing_extensions import TypeAliasType

from bullherd.core.election import LeaseTerms

Names = TypeAliasType("Names", tuple[str, ...])
"""A type with a name of its own, which --help shows."""


class OperatorSettings(BaseSettings):
    """Run the operator: watch QueueJobs and scale their workers."""

    model_config = SettingsConfigDict(env_prefix="BULLHERD_", frozen=True, extra="ignore")

    namespace: str = Field("default", description="The operator's own namespace: its Lease is here.")
    pod_name: str = Field(
        default_factory=socket.gethostname,
        description="Begin of the identity in the Lease; in a cluster the pod's name.",
    )
    lease_name: str = Field("bullherd-operator", description="The Lease that chooses the active operator.")
    watch_namespaces: Annotated[Names, NoDecode] = Field(
        (), description="Namespaces to watch, separated by commas; none means all."
    )
    connections_dir: Path = Field(
        Path("/etc/bullherd/connections"), description="Folder of the named connections, <name>.yaml each."
    )
    priority_class_prefix: str = Field(
        "", description="PriorityClasses are <prefix>high|medium|low; empty means that pods get none."
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
    stalled_check_seconds: float = Field(
        30.0,
        ge=1,
        le=600,
        description="Seconds between two checks for items whose worker died (BullMQ's stalledInterval).",
    )
    max_stalled_count: int = Field(
        1, ge=0, description="How often an item may stall before it fails (BullMQ's maxStalledCount)."
    )
    resync_seconds: float = Field(
        60.0,
        ge=5,
        description="Seconds between two full lists of QueueJobs, the safety net under the watches.",
    )
    lease_duration_seconds: float = Field(
        10.0, ge=3, description="A Lease not renewed for this long may be taken over."
    )

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @property
    def lease_terms(self) -> LeaseTerms:
        """client-go's proportions: renew by two thirds of the duration, try six times in it."""
        duration = self.lease_duration_seconds
        return LeaseTerms(duration, renew_deadline=duration * 2 / 3, retry_period=duration / 6)
