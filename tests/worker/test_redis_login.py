"""Logins, TLS and client certificates, and what is said, and not said, when they are wrong. Needs
redis-server, openssl and Node 20.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bullherd_worker.logs import without_password
from tests.fixtures.node import StartNode
from tests.fixtures.redis import StartRedis
from tests.fixtures.worker import StartWorker
from tests.worker.test_outcomes import in_state

pytestmark = [pytest.mark.redis, pytest.mark.node]


@pytest.mark.parametrize("client_certificate", [False, True], ids=["tls", "mtls"])
async def test_tls_and_a_login(
    start_worker: StartWorker, start_redis: StartRedis, start_node: StartNode, client_certificate: bool
) -> None:
    server = start_redis(username="worker", password="pä ss", tls=True, client_certificate=client_certificate)
    queue = (await start_node("v6", server)).queue("q")
    worker = await start_worker("q", kind="noop", server=server)
    await in_state(queue, await queue.add("x"), "completed")
    # The connection that waits for markers has got through, too: bullmq lists workers by it.
    assert len(await queue.call("getWorkers")) == 1
    assert not worker.named("redis_away")


async def test_a_client_certificate_in_one_file_with_its_key(
    start_worker: StartWorker, start_redis: StartRedis, tmp_path: Path
) -> None:
    server = start_redis(tls=True, client_certificate=True)
    tls = server.endpoint.tls
    assert tls is not None
    both = tmp_path / "both.pem"
    both.write_text(f"{tls.certificate}{tls.private_key}")
    await start_worker("q", kind="noop", server=server, redis_tls_cert_file=both, redis_tls_key_file="")


async def test_no_client_certificate_where_one_is_asked_for(
    start_worker: StartWorker, start_redis: StartRedis
) -> None:
    server = start_redis(tls=True, client_certificate=True)
    none = {"redis_tls_cert_file": "", "redis_tls_key_file": ""}
    worker = await start_worker("q", kind="noop", server=server, ready=False, **none)
    await worker.event("redis_away")
    assert not worker.named("worker_started")


async def test_a_key_of_another_certificate_is_told_with_both_files(
    start_worker: StartWorker, start_redis: StartRedis
) -> None:
    server, other = (start_redis(tls=True, client_certificate=True) for _ in range(2))
    key = other.environment["REDIS_TLS_KEY_FILE"]
    worker = await start_worker("q", kind="noop", server=server, ready=False, redis_tls_key_file=key)
    (away,) = await worker.event("redis_away")
    assert server.environment["REDIS_TLS_CERT_FILE"] in away["problem"]
    assert key in away["problem"]


async def test_a_ca_of_its_own_is_trusted_instead_of_the_systems(
    start_worker: StartWorker, start_redis: StartRedis
) -> None:
    server, stranger = (start_redis(tls=True) for _ in range(2))
    ours, other = (one.environment["REDIS_TLS_CA_FILE"] for one in (server, stranger))
    worker = await start_worker("q", kind="noop", server=server, redis_tls_ca_file="", ssl_cert_file=ours)
    assert await worker.terminate() == 0
    worker = await start_worker(
        "q", kind="noop", server=server, ready=False, redis_tls_ca_file=other, ssl_cert_file=ours
    )
    (away,) = await worker.event("redis_away")
    assert "certificate verify failed" in away["problem"]


async def test_files_that_are_not_there_are_named_by_their_variables(start_worker: StartWorker) -> None:
    worker = await start_worker("q", ready=False, redis_tls_ca_file="/no/ca", redis_tls_cert_file="/no/crt")
    assert await worker.ended() == 2
    assert "REDIS_TLS_CA_FILE: Path does not point to a file" in worker.raw[0]
    assert "REDIS_TLS_CERT_FILE: Path does not point to a file" in worker.raw[0]
    worker = await start_worker("q", ready=False, redis_tls_key_file=__file__)
    assert await worker.ended() == 2
    assert "set REDIS_TLS_CERT_FILE too" in worker.raw[0]


async def test_a_wrong_password_is_told(start_worker: StartWorker, start_redis: StartRedis) -> None:
    server = start_redis(password="right")
    worker = await start_worker("q", kind="noop", server=server, redis_password="wrong", ready=False)
    (away,) = await worker.event("redis_away")
    assert "password" in away["problem"].lower()
    assert "wrong" not in away["problem"].replace("WRONGPASS", "")
    worker = await start_worker("q", kind="noop", server=server)
    assert await worker.terminate() == 0


async def test_the_password_is_never_logged(start_worker: StartWorker, start_redis: StartRedis) -> None:
    """A server without AUTH repeats its arguments in the error, the first 128 bytes of them."""
    server = start_redis(options=("--rename-command", "AUTH", "HIDDEN"))
    login = {"redis_username": "ann", "redis_password": "hunter2" * 30, "worker_log_level": "debug"}
    worker = await start_worker("q", kind="noop", server=server, ready=False, **login)
    for event in ("redis_away", "marker_wait_failed"):
        (line, *_) = await worker.event(event)
        assert "unknown command" in line["problem"]
    assert await worker.terminate() == 0
    assert "hunter2" not in "\n".join(worker.raw)


@pytest.mark.parametrize(
    ("text", "password", "logged"),
    [
        ("hunter2 is wrong", "hunter2", "*** is wrong"),
        ("no 'AUTH', with args beginning with: 'ann' 'hunt", "hunter2", "no 'AUTH'"),
        ("Connection refused", None, "Connection refused"),
    ],
)
def test_what_is_cut_out(text: str, password: str | None, logged: str) -> None:
    assert without_password(text, password) == logged
