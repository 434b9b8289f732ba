"""Where a queue's Redis is: a named connection of the administrator's, or the author's own words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from bullherd.api.base import ApiModel
from bullherd.api.rules import Rule
from bullherd.api.values import Int32, ObjectName, SecretKey, matching

INLINE_ONLY = frozenset({"port", "db", "username", "password_secret_ref", "tls"})

_NOT_FILLED_IN: dict[str, JsonValue] = {"default": None}
"""Keeps a default out of the CRD: the API server would write it beside a named connection too."""


class PasswordSecretRef(ApiModel):
    """Where the password is: a Secret in the QueueJob's namespace. Without it: no password.

    The operator must be allowed to read Secrets there (the chart's `inlineCredentials.namespaces`).
    """

    name: ObjectName
    """Name of the Secret."""
    key: SecretKey = "password"
    """Key in the Secret."""


class CaSecretRef(ApiModel):
    """Who signs the server's certificate: a Secret in the QueueJob's namespace.

    Without it, the authorities that the worker's and the operator's images trust.
    """

    name: ObjectName
    """Name of the Secret."""
    key: SecretKey = "ca.crt"
    """Key in the Secret. Its value is PEM."""


class ClientCertificateSecretRef(ApiModel):
    """The certificate for a server that asks its clients for one: a Secret in the QueueJob's namespace."""

    name: ObjectName
    """Name of a Secret of type kubernetes.io/tls: PEM under tls.crt and tls.key."""


class TlsSpec(ApiModel):
    """TLS to the inline Redis. Without it: plain TCP."""

    enabled: Annotated[bool, Field(strict=True)] = True
    """Whether to use TLS. With false, the other fields wait unused."""
    ca_secret_ref: CaSecretRef | None = None
    client_certificate_secret_ref: ClientCertificateSecretRef | None = None


class RedisSpec(ApiModel):
    """The Redis that holds the queue: either the name of a connection, or a host and what goes with it.

    Default: the connection named default.
    """

    RULES = (
        Rule(
            "has(self.connection) != has(self.host)",
            "give exactly one of connection (the name of a connection that the operator has) "
            "and host (a Redis of your own, with port, db, username, passwordSecretRef and tls)",
            lambda redis: (redis.connection is None) != (redis.host is None),
        ),
        Rule(
            "!has(self.connection) || !(has(self.port) || has(self.db) || has(self.username) "
            "|| has(self.passwordSecretRef) || has(self.tls))",
            "port, db, username, passwordSecretRef and tls go with host: a named connection brings its own",
            lambda redis: redis.connection is None or not (INLINE_ONLY & redis.model_fields_set),
        ),
    )

    connection: ObjectName | None = None
    """Name of a connection that the administrator set up in the chart and opened for this namespace."""
    host: (
        Annotated[
            str,
            Field(min_length=1, max_length=253),
            matching(
                r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?[.]?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*",
                "host is a host name or an IP address alone: no redis://, and the port goes into port",
            ),
        ]
        | None
    ) = None
    """Host name or IP address of a Redis of your own, as the pods and the operator reach it."""
    port: Annotated[Int32, Field(ge=1, le=65535, json_schema_extra=_NOT_FILLED_IN)] = 6379
    """Port of the inline Redis. Without it: 6379."""
    db: Annotated[Int32, Field(ge=0, le=65535, json_schema_extra=_NOT_FILLED_IN)] = 0
    """Number of the database in the inline Redis. Without it: 0."""
    username: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """User of the inline Redis, where it has an ACL. Without it: the default user."""
    password_secret_ref: PasswordSecretRef | None = None
    tls: TlsSpec | None = None

    @model_serializer(mode="wrap")
    def _only_what_goes_together(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A named connection is written without the inline defaults, which no rule would let stand beside
        it."""
        written: dict[str, Any] = handler(self)
        return {"connection": written["connection"]} if self.connection is not None else written
