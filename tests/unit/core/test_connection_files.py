"""Connection files: what is read of good ones, and what is said about bad ones. Needs nothing."""

from __future__ import annotations

import pytest

from bullherd.core.connection import (
    Connection,
    ConnectionProblem,
    SecretKey,
    WorkerSecrets,
    files_referred_to,
    parse_connection_file,
)
from bullherd.core.redis_endpoint import RedisEndpoint, TlsOptions

PASSWORD = "correct-horse"
KEY = "-----BEGIN PRIVATE KEY----- correct-battery"


def good(text: str, files: dict[str, str] | None = None) -> Connection:
    parsed = parse_connection_file("default", text, files or {})
    assert isinstance(parsed, Connection), parsed
    return parsed


def problem(text: str, files: dict[str, str] | None = None) -> ConnectionProblem:
    parsed = parse_connection_file("default", text, files or {})
    assert isinstance(parsed, ConnectionProblem), parsed
    return parsed


def test_the_least_is_a_host() -> None:
    assert good("host: redis") == Connection(RedisEndpoint("redis"), WorkerSecrets(), frozenset())


def test_all_of_it() -> None:
    connection = good(f"""
host: redis.example
port: 6380
db: 3
username: bullherd
password: {PASSWORD}
tls: {{enabled: true, ca: CA, certificate: CERTIFICATE, privateKey: KEY}}
namespaces: [shop, mail]
workerSecret: {{name: redis, passwordKey: password, caKey: ca.crt, certificateSecret: redis-client}}
""")
    assert connection.endpoint == RedisEndpoint(
        "redis.example", 6380, 3, "bullherd", PASSWORD, TlsOptions("CA", "CERTIFICATE", "KEY")
    )
    assert connection.worker_secrets == WorkerSecrets(
        SecretKey("redis", "password"), SecretKey("redis", "ca.crt"), "redis-client"
    )
    assert connection.namespaces == frozenset({"shop", "mail"})


def test_empty_texts_are_absent_as_the_chart_writes_them() -> None:
    assert good('{host: redis, username: "", password: ""}').endpoint == RedisEndpoint("redis")


def test_tls_that_is_not_enabled_is_none() -> None:
    assert good("{host: redis, tls: {ca: CA}}").endpoint.tls is None


def test_secrets_may_stand_in_files_of_their_own() -> None:
    text = """
host: redis
passwordFile: /secrets/password
tls: {enabled: true, caFile: /secrets/ca, certificateFile: /secrets/crt, privateKeyFile: /secrets/key}
"""
    paths = ("/secrets/password", "/secrets/ca", "/secrets/crt", "/secrets/key")
    assert files_referred_to(text) == paths
    endpoint = good(
        text, dict(zip(paths, (f"{PASSWORD}\n", "CA", "CERTIFICATE", "KEY"), strict=True))
    ).endpoint
    assert endpoint.password == PASSWORD
    assert endpoint.tls == TlsOptions("CA", "CERTIFICATE", "KEY")


@pytest.mark.parametrize("text", ["host: redis", "[", "port: x", "", "2024-99-99"])
def test_no_file_is_referred_to_by_what_names_none(text: str) -> None:
    assert files_referred_to(text) == ()


NAMESPACES = [
    ("nobody may use it when no namespace is named", "[]", "shop", False),
    ("those that are named may", "[shop, mail]", "shop", True),
    ("others may not", "[shop, mail]", "spam", False),
    ("a star is everyone", '["*"]', "spam", True),
    ("a name is whole, not a pattern", '["sh*"]', "shop", False),
]


@pytest.mark.parametrize(
    ("name", "namespaces", "who", "allowed"), NAMESPACES, ids=[row[0] for row in NAMESPACES]
)
def test_namespaces(name: str, namespaces: str, who: str, allowed: bool) -> None:
    connection = good(f"{{host: redis, namespaces: {namespaces}}}")
    assert connection.allows(who) is allowed, name


def test_an_inline_connection_is_open_to_the_one_that_asks() -> None:
    assert Connection(RedisEndpoint("redis")).allows("any")


BAD = [
    ("not YAML", "host: [", "it is not YAML"),
    ("an impossible date, which PyYAML dislikes in its own way", "host: 2024-99-99", "it is not YAML"),
    ("an empty file", "", "host: Field required"),
    ("a file without a host", "port: 1", "host: Field required"),
    ("an empty host", 'host: ""', "host: String should have at least 1 character"),
    ("a list", f"[{PASSWORD}]", "file: Input should be a mapping"),
    ("a bare text", PASSWORD, "file: Input should be a mapping"),
    ("a port that is none", "{host: a, port: many}", "port: Input should be a valid integer"),
    ("a port out of range", "{host: a, port: 65536}", "port: Input should be less than or equal to 65535"),
    ("a negative database", "{host: a, db: -1}", "db: Input should be greater than or equal to 0"),
    ("a field that does not exist", "{host: a, hots: b}", "hots: Extra inputs are not permitted"),
    ("a password that YAML takes for a number", "{host: a, password: 12345}",
     "password: Input should be a valid string"),
    ("a TLS that is no mapping", "{host: a, tls: true}", "tls: Input should be a mapping"),
    ("a Secret without a name", "{host: a, workerSecret: {passwordKey: p}}",
     "workerSecret.name: Field required"),
    ("a namespace that is no text", "{host: a, namespaces: [1]}",
     "namespaces.0: Input should be a valid string"),
    ("everything that is wrong, in one go", "{port: 0, db: x}", "host: Field required; port: Input"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "words"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_file_is_said_in_a_sentence(name: str, text: str, words: str) -> None:
    found = problem(text)
    assert found.reason == "ConnectionInvalid", name
    assert found.message.startswith("The connection 'default' cannot be used: ")
    assert words in found.message
    assert found.message.endswith("mends it in the chart's connections.default.")
    assert "\n" not in found.message
    assert "_" not in found.message  # no name of a class of ours


def test_a_file_that_is_referred_to_and_not_there_is_named() -> None:
    text = "{host: a, passwordFile: /secrets/password, tls: {caFile: /secrets/ca}}"
    assert "/secrets/ca cannot be read" in problem(text, {"/secrets/password": PASSWORD}).message
    assert "/secrets/password, /secrets/ca cannot be read" in problem(text).message


@pytest.mark.parametrize(
    "text",
    [
        f"{{password: {PASSWORD}}}",
        f"{{host: a, port: {PASSWORD}}}",
        f"{{host: a, password: [{PASSWORD}]}}",
        f"{{host: a, password: {{{PASSWORD}: 1}}}}",
        f"{{host: a, tls: {PASSWORD}}}",
        f"host: a\npassword: {PASSWORD}\n  bad: indent",
        f"password: &{PASSWORD} [",
        f"- {PASSWORD}",
        PASSWORD,
    ],
)
def test_no_message_quotes_what_stands_in_the_file(text: str) -> None:
    found = problem(text)
    assert PASSWORD not in found.message
    assert PASSWORD not in repr(found)


def test_no_repr_shows_a_password_or_a_key() -> None:
    connection = good(f"{{host: a, password: {PASSWORD}, tls: {{enabled: true, privateKey: '{KEY}'}}}}")
    assert connection.endpoint.password == PASSWORD
    for shown in (repr(connection), str(connection), f"{connection.endpoint}", repr(connection.endpoint.tls)):
        assert PASSWORD not in shown
        assert KEY not in shown


def test_the_address_says_which_database_whoever_logs_in() -> None:
    one = RedisEndpoint("redis", 6380, 2, "alice", "a")
    other = RedisEndpoint("redis", 6380, 2, "bob", "b")
    assert one.address == other.address == "redis:6380/2"
