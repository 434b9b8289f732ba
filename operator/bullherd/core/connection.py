"""How a QueueJob reaches its Redis, and how its workers do.

The operator and the workers log in with the same words from different places: the operator has the password
itself, from a mounted file or a Secret; a worker's pod has a reference to a Secret in its own namespace. A
named connection (the administrator's) and a QueueJob's inline Redis both become a ``Connection``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value of a Secret, by names."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class WorkerSecrets:
    """Where a worker's pod finds what must not stand in its manifest. ``client_certificate`` is a
    kubernetes.io/tls Secret.
    """

    password: SecretKey | None = None
    ca: SecretKey | None = None
    client_certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A Redis, and for whom: ``namespaces`` None means that its owner's namespace was already checked."""

    endpoint: RedisEndpoint
    worker_secrets: WorkerSecrets = WorkerSecrets()
    namespaces: frozenset[str] | None = None

    def allows(self, namespace: str) -> bool:
        """Whether QueueJobs of this namespace may use it."""
        return self.namespaces is None or bool(self.namespaces & {namespace, "*"})


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """Why there is no connection; ``reason`` is CamelCase for the condition, ``message`` says what to do."""

    reason: str
    message: str


class _FileModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class _TlsFile(_FileModel):
    enabled: bool = False
    ca: str | None = None
    ca_file: str | None = None
    certificate: str | None = None
    certificate_file: str | None = None
    private_key: str | None = None
    private_key_file: str | None = None


class _WorkerSecretFile(_FileModel):
    name: str
    password_key: str | None = None
    ca_key: str | None = None
    certificate_secret: str | None = None


class _ConnectionFile(_FileModel):
    host: str = Field(min_length=1)
    port: int = Field(6379, ge=1, le=65535)
    db: int = Field(0, ge=0)
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    tls: _TlsFile = _TlsFile()
    namespaces: list[str] = Field(default_factory=list)
    worker_secret: _WorkerSecretFile | None = None


def parse_connection_file(name: str, text: str, files: Mapping[str, str]) -> Connection | ConnectionProblem:
    """One ``<name>.yaml`` of the connections folder.

    ``files`` holds the texts of the files that it refers to, by path, as far as they can be read; see
    ``files_referred_to``.
    """
    try:
        parsed = _read(text)
    except ValidationError as error:
        return _unusable(name, "; ".join(map(_sentence, error.errors())))
    except _NOT_YAML:
        return _unusable(name, "it is not YAML")
    if missing := [path for path in _paths_in(parsed) if path not in files]:
        return _unusable(name, f"{', '.join(missing)} cannot be read")

    def text_of(value: str | None, path: str | None) -> str | None:
        return files[path].rstrip("\n") if path is not None else value or None

    tls = parsed.tls
    endpoint = RedisEndpoint(
        host=parsed.host,
        port=parsed.port,
        db=parsed.db,
        username=parsed.username or None,
        password=text_of(parsed.password, parsed.password_file),
        tls=TlsOptions(
            ca=text_of(tls.ca, tls.ca_file),
            certificate=text_of(tls.certificate, tls.certificate_file),
            private_key=text_of(tls.private_key, tls.private_key_file),
        )
        if tls.enabled
        else None,
    )
    return Connection(endpoint, _worker_secrets(parsed.worker_secret), frozenset(parsed.namespaces))


def files_referred_to(text: str) -> tuple[str, ...]:
    """The paths of the files that a connection file refers to, if it can be read that far."""
    try:
        return _paths_in(_read(text))
    except _NOT_YAML:
        return ()


def _read(text: str) -> _ConnectionFile:
    return _ConnectionFile.model_validate(yaml.safe_load(text) or {})


_NOT_YAML = (yaml.YAMLError, ValueError)
"""PyYAML answers an impossible date (a password may look like one) with a bare ValueError."""


def _sentence(error: ErrorDetails) -> str:
    """Never pydantic's own text of the whole: it quotes the input, and the input holds a password."""
    place = ".".join(map(str, error["loc"])) or "file"
    return f"{place}: {'Input should be a mapping' if error['type'] == 'model_type' else error['msg']}"


def _paths_in(parsed: _ConnectionFile) -> tuple[str, ...]:
    tls = parsed.tls
    paths = (parsed.password_file, tls.ca_file, tls.certificate_file, tls.private_key_file)
    return tuple(path for path in paths if path is not None)


def _worker_secrets(secret: _WorkerSecretFile | None) -> WorkerSecrets:
    if secret is None:
        return WorkerSecrets()
    return WorkerSecrets(
        password=SecretKey(secret.name, secret.password_key) if secret.password_key else None,
        ca=SecretKey(secret.name, secret.ca_key) if secret.ca_key else None,
        client_certificate=secret.certificate_secret,
    )


def _unusable(name: str, why: str) -> ConnectionProblem:
    return ConnectionProblem(
        "ConnectionInvalid",
        f"The connection {name!r} cannot be used: {why}. Its administrator mends it in the "
        f"chart's connections.{name}.",
    )
