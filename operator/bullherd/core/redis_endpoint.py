"""Where a Redis is and how to log in, whoever said so: a named connection or a QueueJob's own words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """PEM texts; ``ca`` None means the system's trust store."""

    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RedisEndpoint:
    """One Redis database. ``tls`` None is plain TCP."""

    host: str
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsOptions | None = None

    @property
    def address(self) -> str:
        """What makes two endpoints the same database, whoever logs in: ``host:port/db``."""
        return f"{self.host}:{self.port}/{self.db}"
