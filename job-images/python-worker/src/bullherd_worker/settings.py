"""The worker's settings, read once from the pod's environment: one frozen tree.

The names are those that BullMQ apps already use (REDIS_…, QUEUE_…), so that any worker image runs under
Bullherd; WORKER_… holds what only this runtime knows. An empty variable counts as not set.
"""

from __future__ import annotations

import socket
from typing import Literal

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _from(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(env_prefix=prefix, env_ignore_empty=True, frozen=True, extra="ignore")


class RedisSettings(BaseSettings):
    """Which Redis."""

    model_config = _from("REDIS_")

    host: str = Field("localhost", description="Host name or address.")
    port: int = Field(6379, ge=1, le=65535, description="TCP port.")
    username: str | None = Field(None, description="ACL user; without it the default user.")
    password: SecretStr | None = Field(None, description="Password of that user.")
    db: int = Field(0, ge=0, description="Number of the database.")
    tls: bool = Field(False, description="Speak TLS.")
    tls_ca_file: FilePath | None = Field(
        None, description="PEM file of the CA to trust instead of the system's."
    )
    tls_cert_file: FilePath | None = Field(
        None, description="PEM file of the client certificate, for a Redis that asks for one."
    )
    tls_key_file: FilePath | None = Field(
        None, description="PEM file of its private key; not needed when tls_cert_file holds that, too."
    )

    @field_validator("tls_key_file")
    @classmethod
    def _belongs_to_a_certificate(cls, key: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if key is not None and info.data.get("tls_cert_file", ...) is None:
            raise ValueError("the certificate is missing, set REDIS_TLS_CERT_FILE too")
        return key


class QueueSettings(BaseSettings):
    """Which queue, and how much of it at once."""

    model_config = _from("QUEUE_")

    name: str = Field(min_length=1, description="The BullMQ queue's name.")
    prefix: str = Field("bull", min_length=1, description="BullMQ's key prefix.")
    concurrency: int = Field(1, ge=1, le=10_000, description="Items that this worker runs at the same time.")
    limiter_max: int | None = Field(
        None, ge=1, description="At most so many items per limiter_duration, all workers together."
    )
    limiter_duration: int = Field(1000, ge=1, description="Window of limiter_max in milliseconds.")


class WorkerSettings(BaseSettings):
    """How this process behaves. The defaults are BullMQ's where BullMQ has one."""

    model_config = _from("WORKER_")

    name: str = Field(
        default_factory=socket.gethostname, description="Shown as an item's processedBy: the pod's name."
    )
    lock_duration: int = Field(
        30_000, ge=1000, description="Life of an item's lock in ms; renewed at each third of it."
    )
    stalled_interval: int = Field(
        30_000, ge=100, description="Time between two stalled checks of the queue in ms."
    )
    max_stalled: int = Field(1, ge=0, description="How often an item may stall before it fails.")
    drain_seconds: float = Field(
        25.0, ge=0, description="After SIGTERM: time for running items before they are given back."
    )
    thread_grace_seconds: float = Field(
        5.0, ge=0, description="After its timeout: time for a plain function to notice it."
    )
    redis_away_seconds: float = Field(
        60.0, gt=0, description="/healthz fails when Redis has not answered for this long."
    )
    reply_seconds: float = Field(
        15.0, gt=0, description="A Redis that owes a reply for this long is taken for dead."
    )
    http_host: str = Field("0.0.0.0", description="Address of /healthz and /metrics.")
    http_port: int = Field(
        8080, ge=0, le=65535, description="Port of /healthz and /metrics; 0 takes a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, else JSON."
    )


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore")

    redis: RedisSettings = Field(default_factory=RedisSettings)
    queue: QueueSettings = Field(default_factory=lambda: QueueSettings())
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    job_kind: str | None = Field(None, description="Name of the job kind when it is not the queue's.")

    @property
    def kind_name(self) -> str:
        """The job kind that works this queue."""
        return self.job_kind or self.queue.name
