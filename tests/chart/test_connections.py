"""From values to what the operator and the workers read, and what is refused. Needs helm, no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.core.connection import (
    Connection,
    SecretKey,
    WorkerSecrets,
    files_referred_to,
    parse_connection_file,
)
from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions
from tests.chart.rendering import HelmError, Rendered, notes, render

OFF = {"embedded": {"enabled": False}}


def connection(**given: Any) -> Rendered:
    """A chart with one external connection, "sessions", and no Redis of its own."""
    return render({"redis": OFF, "connections": {"sessions": {"host": "redis.example.com", **given}}})


def mounts(rendered: Rendered) -> dict[str, str]:
    """Where the operator's pod sees which Secret."""
    spec = rendered.get("Deployment", "bullherd-operator")["spec"]["template"]["spec"]
    secrets = {v["name"]: v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
    return {
        m["mountPath"]: secrets[m["name"]]
        for m in spec["containers"][0]["volumeMounts"]
        if m["name"] in secrets
    }


def worker_secrets(rendered: Rendered) -> list[tuple[str, str]]:
    return sorted(
        (secret["metadata"]["namespace"], secret["metadata"]["name"])
        for secret in rendered.of_kind("Secret")
        if "bullherd.dev/connection" in secret["metadata"]["labels"]
    )


def test_the_embedded_redis_is_the_default_connection() -> None:
    rendered = render({"redis": {"embedded": {"password": "s3cret"}}})
    assert rendered.connection("default") == {
        "host": "bullherd-redis.bullherd.svc",
        "port": 6379,
        "db": 0,
        "password": "s3cret",
        "namespaces": ["bullherd", "default"],
        "workerSecret": {"name": "bullherd-connection-default", "passwordKey": "password"},
    }
    assert worker_secrets(rendered) == [
        ("bullherd", "bullherd-connection-default"),
        ("default", "bullherd-connection-default"),
    ]
    assert rendered.secret("bullherd-connection-default", "default") == {
        "host": "bullherd-redis.bullherd.svc",
        "port": "6379",
        "db": "0",
        "password": "s3cret",
    }
    assert mounts(rendered) == {"/etc/bullherd/connections": "bullherd-connections"}


def test_a_server_without_a_password_needs_no_secret() -> None:
    rendered = connection()
    assert rendered.connection("sessions") == {
        "host": "redis.example.com",
        "port": 6379,
        "db": 0,
        "namespaces": ["bullherd", "default"],
    }
    assert worker_secrets(rendered) == []


def test_everything_given_in_values() -> None:
    tls = {"enabled": True, "ca": "CA\nPEM\n", "certificate": "CERT\n", "privateKey": "KEY\n"}
    rendered = connection(
        port=6380, db=3, username="bullherd", password="00123", tls=tls, namespaces=["shop", "blog"]
    )
    assert rendered.connection("sessions") == {
        "host": "redis.example.com",
        "port": 6380,
        "db": 3,
        "username": "bullherd",
        "password": "00123",
        "tls": tls,
        "namespaces": ["shop", "blog"],
        "workerSecret": {
            "name": "bullherd-connection-sessions",
            "passwordKey": "password",
            "caKey": "ca.crt",
        },
    }
    assert rendered.secret("bullherd-connection-sessions", "shop") == {
        "host": "redis.example.com",
        "port": "6380",
        "db": "3",
        "username": "bullherd",
        "password": "00123",
        "ca.crt": "CA\nPEM\n",
    }


def test_an_existing_secret_is_mounted_for_the_operator_and_named_for_the_workers() -> None:
    rendered = connection(
        existingSecret={
            "name": "redis-login",
            "passwordKey": "pw",
            "caKey": "tls.ca",
            "certificateKey": "tls.crt",
            "privateKeyKey": "tls.key",
        },
        tls={"enabled": True},
        namespaces=["shop"],
    )
    folder = "/etc/bullherd/secrets/sessions"
    assert rendered.connection("sessions") == {
        "host": "redis.example.com",
        "port": 6379,
        "db": 0,
        "passwordFile": f"{folder}/password",
        "tls": {
            "enabled": True,
            "caFile": f"{folder}/ca",
            "certificateFile": f"{folder}/certificate",
            "privateKeyFile": f"{folder}/privateKey",
        },
        "namespaces": ["shop"],
        "workerSecret": {"name": "redis-login", "passwordKey": "pw", "caKey": "tls.ca"},
    }
    assert mounts(rendered)[folder] == "redis-login"
    assert worker_secrets(rendered) == []
    volumes = rendered.get("Deployment", "bullherd-operator")["spec"]["template"]["spec"]["volumes"]
    mounted = next(v["secret"] for v in volumes if v["name"] == "secret-sessions")
    assert mounted["optional"], "a missing Secret would keep the operator from starting"
    assert {i["path"]: i["key"] for i in mounted["items"]} == {
        "password": "pw",
        "ca": "tls.ca",
        "certificate": "tls.crt",
        "privateKey": "tls.key",
    }


def test_an_existing_secret_may_hold_only_a_ca() -> None:
    secret = {"name": "redis-ca", "passwordKey": "", "caKey": "ca.crt"}
    file = connection(existingSecret=secret, tls={"enabled": True}).connection("sessions")
    assert "passwordFile" not in file
    assert file["tls"] == {"enabled": True, "caFile": "/etc/bullherd/secrets/sessions/ca"}
    assert file["workerSecret"] == {"name": "redis-ca", "caKey": "ca.crt"}


def test_all_namespaces_get_secrets_only_where_said() -> None:
    values = {"password": "x", "namespaces": ["*"]}
    assert worker_secrets(connection(**values)) == []
    given = connection(**values, workerSecret={"namespaces": ["shop"], "name": "redis-login"})
    assert given.connection("sessions")["namespaces"] == ["*"]
    assert given.connection("sessions")["workerSecret"]["name"] == "redis-login"
    assert worker_secrets(given) == [("shop", "redis-login")]


def test_worker_secrets_can_be_left_to_somebody_else() -> None:
    rendered = connection(password="x", workerSecret={"create": False})
    assert rendered.connection("sessions")["workerSecret"]["name"] == "bullherd-connection-sessions"
    assert worker_secrets(rendered) == []


def test_workers_can_show_a_certificate_of_their_own() -> None:
    rendered = connection(tls={"enabled": True}, workerSecret={"certificateSecret": "workers-tls"})
    assert rendered.connection("sessions")["workerSecret"] == {
        "name": "bullherd-connection-sessions",
        "certificateSecret": "workers-tls",
    }
    assert worker_secrets(rendered) == []


def test_a_namespace_said_twice_or_being_the_releases_own_gets_one_secret() -> None:
    rendered = render({"redis": {"embedded": {"password": "x"}}}, namespace="default")
    assert worker_secrets(rendered) == [("default", "bullherd-connection-default")]


ALL_WORDS: dict[str, Any] = {
    "plain": {"host": "h"},
    "texts": {
        "host": "h", "port": 6380, "db": 3, "username": "u", "password": "p", "namespaces": ["*"],
        "tls": {"enabled": True, "ca": "CA", "certificate": "CERT", "privateKey": "KEY"},
        "workerSecret": {"name": "mine", "certificateSecret": "workers-tls"},
    },
    "files": {
        "host": "h", "tls": {"enabled": True},
        "existingSecret": {"name": "s", "caKey": "ca", "certificateKey": "crt", "privateKeyKey": "key"},
    },
}  # fmt: skip


def test_the_operator_understands_every_file_that_the_chart_writes() -> None:
    rendered = render({"connections": ALL_WORDS})
    files = rendered.secret("bullherd-connections")
    assert set(files) == {"default.yaml", *(f"{name}.yaml" for name in ALL_WORDS)}
    for name, text in files.items():
        mounted = {path: f"text of {path}" for path in files_referred_to(text)}
        assert isinstance(parse_connection_file(name, text, mounted), Connection), name

    texts = parse_connection_file("texts", files["texts.yaml"], {})
    assert texts == Connection(
        RedisEndpoint("h", 6380, 3, "u", "p", TlsOptions("CA", "CERT", "KEY")),
        WorkerSecrets(SecretKey("mine", "password"), SecretKey("mine", "ca.crt"), "workers-tls"),
        frozenset({"*"}),
    )


def test_embedded_and_external_live_side_by_side() -> None:
    rendered = render({"connections": {"sessions": {"host": "redis.example.com"}}})
    assert set(rendered.secret("bullherd-connections")) == {"default.yaml", "sessions.yaml"}


PEM = {"enabled": True, "certificate": "CERT"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"connections": {"default": {"host": "h"}}},
            "connections.default and the embedded Redis have the same name",
        ),
        (
            {"connections": {"a": {"host": "h", "password": "x", "existingSecret": {"name": "s"}}}},
            "keep one of them",
        ),
        (
            {"connections": {"a": {"host": "h", "tls": {"ca": "CA"}}}},
            r"set connections\.a\.tls\.enabled=true",
        ),
        ({"connections": {"a": {"host": "h", "tls": PEM}}}, "both certificate and privateKey, or neither"),
        (
            {"connections": {"a": {"host": "h", "existingSecret": {"name": "s", "privateKeyKey": "k"}}}},
            "both certificateKey and privateKeyKey, or neither",
        ),
        ({"priorityClasses": {"prefix": ""}}, r"needs a priorityClasses\.prefix"),
    ],
    ids=["one name", "two passwords", "tls off", "half a pair", "half a pair in a Secret", "no prefix"],
)
def test_contradictions_end_with_a_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"redis": {"embeded": {}}}, "at '/redis': additional properties 'embeded' not allowed"),
        ({"operator": {"replicas": "two"}}, "at '/operator/replicas': got string, want integer"),
        ({"logging": {"level": "loud"}}, "value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"connections": {"a": {"port": 6379}}}, "at '/connections/a': missing property 'host'"),
        ({"connections": {"a": {"host": "h", "port": 70000}}}, "at '/connections/a/port': maximum"),
        ({"connections": {"Not Valid": {"host": "h"}}}, "'Not Valid' does not match pattern"),
        ({"watchNamespaces": ["*"]}, r"at '/watchNamespaces/0': '\*' does not match pattern"),
        (
            {"redis": {"embedded": {"maxmemory": "1Gi"}}},
            "at '/redis/embedded/maxmemory': '1Gi' does not match",
        ),
    ],
)
def test_the_schema_refuses_wrong_values_and_says_where(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(values)


def test_notes_show_what_to_do_next() -> None:
    text = notes()
    assert "kind: QueueJob" in text
    assert "default: bullherd-redis.bullherd.svc:6379/0, for namespaces bullherd, default" in text
    assert "its password is copied into Secret bullherd-connection-default there" in text
    assert "helm test bullherd -n bullherd" in text
    assert "WARNING" not in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"redis": OFF}, "none. QueueJobs have to say their Redis inline"),
        ({"redis": {"embedded": {"persistence": {"enabled": False}}}}, "All queues are lost"),
        (
            {"redis": {"embedded": {"namespaces": ["*"]}}},
            "made in: no namespace; elsewhere, make it yourself",
        ),
        ({"watchNamespaces": ["shop"]}, "It looks at QueueJobs in: shop."),
        ({"redis": {"embedded": {"existingSecret": {"name": "mine"}}}}, "which must exist in each of them"),
    ],
)
def test_notes_say_what_is_special(values: dict[str, Any], sentence: str) -> None:
    assert sentence in notes(values)
