"""From a QueueJob's ``spec.redis`` to a connection: named ones from mounted files, inline ones with their
Secrets.

Both are read again: the files by ``reload`` (the kubelet swaps them when the Secret changes), the Secrets
once a minute and whenever ``distrust`` says that a login failed. A file that cannot be read holds the
connection that was read before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bullherd.api import QueueJob, RedisSpec, TlsSpec
from bullherd.core.connection import (
    Connection,
    ConnectionProblem,
    SecretKey,
    WorkerSecrets,
    files_referred_to,
    parse_connection_file,
)
from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.secrets import read_secret

log = structlog.get_logger(__name__)

_SECRET_LIFETIME = 60.0


@dataclass(frozen=True, slots=True)
class _CachedSecret:
    values: dict[str, str] = field(repr=False)
    read_at: float


class Connections:
    """All connections that QueueJobs can ask for."""

    def __init__(self, kubernetes: Kubernetes, folder: Path) -> None:
        self._kubernetes = kubernetes
        self._folder = folder
        self._named: dict[str, Connection | ConnectionProblem] = {}
        self._secrets: dict[tuple[str, str], _CachedSecret] = {}

    async def reload(self) -> bool:
        """Read the folder again; True when any named connection changed."""
        try:
            fresh = await asyncio.to_thread(_read_folder, self._folder, self._named)
        except OSError as error:
            log.warning("connections_unreadable", folder=str(self._folder), reason=str(error))
            return False
        changed = fresh != self._named
        self._named = fresh
        if changed:
            log.info("connections_read", names=sorted(fresh))
        return changed

    async def resolve(self, job: QueueJob) -> Connection | ConnectionProblem:
        """The connection of a QueueJob, or why it has none."""
        redis, namespace = job.spec.redis, job.metadata.namespace
        if redis.connection is not None:
            return self._resolve_named(redis.connection, namespace)
        return await self._resolve_inline(redis, namespace)

    def distrust(self, job: QueueJob) -> None:
        """Read this QueueJob's Secrets again next time: a login with them failed."""
        for secret in _secrets_of(job.spec.redis):
            self._secrets.pop((job.metadata.namespace, secret), None)

    def _resolve_named(self, name: str, namespace: str) -> Connection | ConnectionProblem:
        connection = self._named.get(name)
        if connection is None:
            known = ", ".join(sorted(self._usable_in(namespace))) or "none"
            return ConnectionProblem(
                "ConnectionUnknown",
                f"There is no connection {name!r}. Known ones for this namespace: {known}. Name one of "
                f"them in spec.redis.connection, or ask for {name!r} in the chart's connections.",
            )
        if isinstance(connection, Connection) and not connection.allows(namespace):
            return ConnectionProblem(
                "ConnectionNotAllowed",
                f"The connection {name!r} is not open to the namespace {namespace!r}. Its administrator adds "
                f"it to the chart's connections.{name}.namespaces.",
            )
        return connection

    def _usable_in(self, namespace: str) -> list[str]:
        return [n for n, c in self._named.items() if isinstance(c, Connection) and c.allows(namespace)]

    async def _resolve_inline(self, redis: RedisSpec, namespace: str) -> Connection | ConnectionProblem:
        secrets: dict[str, dict[str, str]] = {}
        for name in _secrets_of(redis):
            values = await self._secret(namespace, name)
            if isinstance(values, ConnectionProblem):
                return values
            secrets[name] = values
        try:
            return _inline_connection(redis, secrets)
        except _MissingKeyError as missing:
            # Not kept either: it is about to be mended.
            self._secrets.pop((namespace, missing.secret), None)
            return ConnectionProblem(
                "SecretIncomplete",
                f"The Secret {missing.secret!r} has no text under the key {missing.key!r}. Add it, or "
                f"name another key in spec.redis.",
            )

    async def _secret(self, namespace: str, name: str) -> dict[str, str] | ConnectionProblem:
        cached = self._secrets.get((namespace, name))
        now = time.monotonic()
        if cached is None or now - cached.read_at > _SECRET_LIFETIME:
            try:
                values = dict(await read_secret(self._kubernetes, namespace, name))
            except KubernetesError as error:
                if error.status not in (403, 404):
                    raise
                # Not kept: it is looked for again as soon as somebody asks.
                return _secret_problem(namespace, name, error)
            cached = self._secrets[namespace, name] = _CachedSecret(values, now)
        return cached.values


class _MissingKeyError(Exception):
    def __init__(self, secret: str, key: str) -> None:
        super().__init__(secret, key)
        self.secret = secret
        self.key = key


def _read_folder(
    folder: Path, before: Mapping[str, Connection | ConnectionProblem]
) -> dict[str, Connection | ConnectionProblem]:
    connections: dict[str, Connection | ConnectionProblem] = {}
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        text = _text_of(path)
        if text is not None:
            texts = {name: _text_of(Path(name)) for name in files_referred_to(text)}
            files = {name: read for name, read in texts.items() if read is not None}
            connections[path.stem] = parse_connection_file(path.stem, text, files)
        elif path.stem in before:
            connections[path.stem] = before[path.stem]
    return connections


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        log.warning("connection_file_unreadable", file=str(path), reason=str(error))
        return None


def _tls_of(redis: RedisSpec) -> TlsSpec | None:
    """The TLS that is on; one that is switched off says nothing."""
    return redis.tls if redis.tls is not None and redis.tls.enabled else None


def _secrets_of(redis: RedisSpec) -> list[str]:
    tls = _tls_of(redis)
    references = (
        redis.password_secret_ref,
        tls.ca_secret_ref if tls else None,
        tls.client_certificate_secret_ref if tls else None,
    )
    return [reference.name for reference in references if reference is not None]


def _inline_connection(redis: RedisSpec, secrets: dict[str, dict[str, str]]) -> Connection:
    def value(name: str, key: str) -> str:
        if key not in secrets[name]:
            raise _MissingKeyError(name, key)
        return secrets[name][key]

    password, tls = redis.password_secret_ref, _tls_of(redis)
    ca = tls.ca_secret_ref if tls else None
    client = tls.client_certificate_secret_ref if tls else None
    options = TlsOptions(
        ca=value(ca.name, ca.key) if ca else None,
        certificate=value(client.name, "tls.crt") if client else None,
        private_key=value(client.name, "tls.key") if client else None,
    )
    return Connection(
        RedisEndpoint(
            host=redis.host or "",
            port=redis.port,
            db=redis.db,
            username=redis.username,
            password=value(password.name, password.key) if password else None,
            tls=options if tls else None,
        ),
        WorkerSecrets(
            password=SecretKey(password.name, password.key) if password else None,
            ca=SecretKey(ca.name, ca.key) if ca else None,
            client_certificate=client.name if client else None,
        ),
    )


def _secret_problem(namespace: str, name: str, error: KubernetesError) -> ConnectionProblem:
    if error.missing:
        return ConnectionProblem(
            "SecretMissing",
            f"There is no Secret {name!r} in the namespace {namespace!r}. Create it; Bullherd looks again.",
        )
    return ConnectionProblem(
        "SecretForbidden",
        f"The operator may not read the Secret {name!r} in the namespace {namespace!r}. The chart grants it "
        f"with inlineCredentials.namespaces; a named connection needs no such permission.",
    )
