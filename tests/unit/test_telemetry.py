"""The operator's HTTP port and its logs. Needs a free port on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bullherd.telemetry.health import Health
from bullherd.telemetry.http import serve_telemetry
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import snapshot


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics() -> OperatorMetrics:
    return OperatorMetrics()


@pytest.fixture
async def port(health: Health, metrics: OperatorMetrics) -> AsyncIterator[aiohttp.ClientSession]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    async with (
        serve_telemetry("127.0.0.1", number, health, metrics),
        aiohttp.ClientSession(f"http://127.0.0.1:{number}") as session,
    ):
        yield session


async def answer(port: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with port.get(path) as response:
        return response.status, await response.text()


async def test_healthz_is_well_while_every_loop_turns(port: aiohttp.ClientSession, health: Health) -> None:
    health.pulse("tick", 60)
    assert await answer(port, "/healthz") == (200, '{"failures": []}')


async def test_healthz_fails_and_names_the_loop_that_stopped(
    port: aiohttp.ClientSession, health: Health
) -> None:
    health.pulse("watch of QueueJobs", limit=-1)
    status, text = await answer(port, "/healthz")
    assert status == 503
    assert "watch of QueueJobs has not turned" in text


async def test_readyz_is_about_this_process_not_about_leading(
    port: aiohttp.ClientSession, health: Health
) -> None:
    assert (await answer(port, "/readyz"))[0] == 503
    health.ready = True
    assert (await answer(port, "/readyz"))[0] == 200


async def test_readyz_fails_with_a_loop_that_stopped(port: aiohttp.ClientSession, health: Health) -> None:
    health.ready = True
    health.pulse("tick", limit=-1)
    status, text = await answer(port, "/readyz")
    assert status == 503
    assert "tick has not turned" in text


async def test_metrics_tell_of_a_queue_until_its_queuejob_is_gone(
    port: aiohttp.ClientSession, metrics: OperatorMetrics
) -> None:
    metrics.observe_queue("shop", "emails", snapshot(waiting=3, active=2, failed=1))
    metrics.scalings.labels("shop", "emails", "up").inc()
    assert await sample(port, "bullherd_queue_backlog") == [({"namespace": "shop", "queuejob": "emails"}, 5)]
    waiting = {"namespace": "shop", "queuejob": "emails", "state": "waiting"}
    assert (waiting, 3) in await sample(port, "bullherd_queue_items")
    metrics.forget("shop", "emails")
    for name in ("bullherd_queue_backlog", "bullherd_queue_items", "bullherd_scalings_total"):
        assert await sample(port, name) == []


async def sample(port: aiohttp.ClientSession, name: str) -> list[tuple[dict[str, str], float]]:
    _, text = await answer(port, "/metrics")
    families = text_string_to_metric_families(text)
    return [(s.labels, s.value) for family in families for s in family.samples if s.name == name]


def logs(log_format: str, code: str, level: str = "INFO") -> list[str]:
    """What a process of its own writes to standard error, for logging is configured once per process."""
    program = (
        "import logging, structlog\n"
        "from bullherd.telemetry.logs import configure_logs\n"
        f"configure_logs({log_format!r}, {level!r})\n"
        "log = structlog.get_logger('bullherd.test')\n" + code
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_a_json_line_has_the_event_and_its_values() -> None:
    (line,) = logs("json", "log.info('scaled', namespace='shop', to_replicas=3)")
    told = json.loads(line)
    assert told["event"] == "scaled"
    assert (told["namespace"], told["to_replicas"], told["level"]) == ("shop", 3, "info")
    assert told["logger"] == "bullherd.test"
    assert told["timestamp"].endswith("Z")


def test_an_exception_stays_one_json_line() -> None:
    code = "try: 1 / 0\nexcept ZeroDivisionError as e: log.error('reconcile_failed', exc_info=e)"
    (line,) = logs("json", code)
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_what_libraries_say_is_json_as_well_and_the_chatty_ones_only_warn() -> None:
    code = (
        "logging.getLogger('some.library').info('hello')\n"
        "logging.getLogger('kopf.objects').info('handler succeeded')\n"
        "logging.getLogger('kopf.objects').warning('watch failed')\n"
        "log.debug('unheard')\n"
    )
    assert [json.loads(line)["event"] for line in logs("json", code)] == ["hello", "watch failed"]


def test_auto_is_json_where_there_is_no_terminal() -> None:
    (line,) = logs("auto", "log.info('scaled')")
    assert json.loads(line)["event"] == "scaled"


def test_the_console_is_for_people() -> None:
    (line,) = logs("console", "log.info('scaled', to_replicas=3)")
    assert "scaled" in line
    assert not line.startswith("{")


def test_a_louder_level_lets_less_through() -> None:
    assert logs("json", "log.info('scaled')", level="ERROR") == []
