"""What docs/write-a-job-kind.md and docs/bring-a-node-worker.md show is run as it stands. Needs redis-server,
Node 20.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bullherd.api import QueueJob
from bullherd_worker.settings import QueueSettings, RedisSettings, WorkerSettings
from tests.fixtures.node import NODE_FOLDER, BullmqNode, Major, NodeError, StartNode
from tests.fixtures.redis import RedisServer, StartRedis, free_port
from tests.fixtures.worker import ROOT, StartWorker, until
from tests.worker.test_outcomes import in_state

PYTHON_PAGE = (ROOT / "docs" / "write-a-job-kind.md").read_text()
NODE_PAGE = (ROOT / "docs" / "bring-a-node-worker.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    """The page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.M | re.S)


@pytest.mark.redis
@pytest.mark.node
async def test_the_job_kind_works(
    bullmq_node_6: BullmqNode, start_worker: StartWorker, tmp_path: Path
) -> None:
    module, unit_test, *_ = blocks(PYTHON_PAGE, "python")
    (tmp_path / "thumbnails.py").write_text(module)
    (tmp_path / "test_thumbnails.py").write_text(unit_test)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    await start_worker("thumbnails", modules=("thumbnails",), pythonpath=tmp_path)
    queue = bullmq_node_6.queue("thumbnails")
    good = await queue.add("cat", {"url": "https://example.org/cat.jpg", "width": 64})
    assert await queue.wait_until_finished(good, limit=10) == {"key": f"{good}-64.webp"}
    item = await queue.item(good)
    assert item is not None
    assert (item.progress, item.logs) == (100, ["fetching, attempt 1"])
    bad = await queue.add("cat", {"url": "ftp://example.org", "width": 64}, attempts=3)
    assert (await in_state(queue, bad, "failed")).attemptsMade == 1


def test_the_settings_are_all_there() -> None:
    for prefix, model in (("REDIS_", RedisSettings), ("QUEUE_", QueueSettings), ("WORKER_", WorkerSettings)):
        for name in model.model_fields:
            assert f"`{prefix}{name.upper()}`" in PYTHON_PAGE


@pytest.mark.parametrize("page", [PYTHON_PAGE, NODE_PAGE], ids=["python", "node"])
def test_the_queue_jobs_are_valid(page: str) -> None:
    (text,) = blocks(page, "yaml")
    assert QueueJob.parse(yaml.safe_load(text)).spec.concurrency > 1


@pytest.mark.redis
@pytest.mark.node
async def test_the_redis_user_has_what_a_worker_needs(
    redis_server: RedisServer, bullmq_node_6: BullmqNode, start_worker: StartWorker
) -> None:
    (rules,) = blocks(PYTHON_PAGE, "text")
    admin = redis_server.client()
    await admin.execute_command("ACL", "SETUSER", "worker", "on", ">secret", *rules.split())
    login: dict[str, Any] = {
        "redis_username": "worker",
        "redis_password": "secret",
        "worker_stalled_interval": 200,
    }
    login["worker_drain_seconds"] = 0.1
    queue = bullmq_node_6.queue("q")
    worker = await start_worker(
        "q", kind="echo", modules=("bullherd_worker.kinds.echo",), concurrency=3, **login
    )
    await queue.add("x", {"log": ["a"], "sleep": 0.3, "failTimes": 2}, attempts=3, keepLogs=1, backoff=50)
    await queue.add("x", {"failTimes": 1}, attempts=2, lifo=True, priority=4)
    await queue.add("x", {"failForGood": "no"}, removeOnFail={"age": 1, "count": 1}, delay=50)
    await queue.add("x", {"failForGood": "no"}, removeOnFail=True)
    await queue.add("x", {}, removeOnComplete={"age": 1, "limit": 5}, deduplication={"id": "one", "ttl": 900})
    await queue.call("setGlobalRateLimit", 50, 100)
    await queue.call(
        "upsertJobScheduler", "beat", {"every": 200, "limit": 3}, {"name": "tick", "data": {"sleep": 0}}
    )
    child = {"name": "c", "queueName": "q", "data": {}, "opts": {"removeDependencyOnFailure": True}}
    await queue.call("addFlow", {"name": "p", "queueName": "q", "data": {}, "children": [child]})
    await worker.event("worker_job_completed", 8)
    await worker.terminate()
    assert not worker.named("worker_report_refused")
    # A killed worker's item, so that the stalled check has something to do.
    await queue.add("x", {"sleep": 60})
    dying = await start_worker(
        "q", kind="echo", modules=("bullherd_worker.kinds.echo",), worker_lock_duration=1000, **login
    )
    await dying.event("echo_job_start")
    await dying.kill()
    rescuer = await start_worker("q", kind="echo", modules=("bullherd_worker.kinds.echo",), **login)
    await rescuer.event("worker_stalled_recovered")
    await rescuer.event("echo_job_start")
    await rescuer.terminate()
    denied = await admin.execute_command("ACL", "LOG")
    assert denied == []


@pytest.mark.redis
@pytest.mark.node
@pytest.mark.parametrize(
    ("major", "login"),
    [
        pytest.param("v5", {}, id="v5"),
        pytest.param("v6", {}, id="v6"),
        pytest.param(
            "v6", {"username": "ann", "password": "s", "tls": True, "client_certificate": True}, id="v6-mtls"
        ),
    ],
)
async def test_the_node_worker_works(
    start_redis: StartRedis, start_node: StartNode, tmp_path: Path, major: Major, login: dict[str, Any]
) -> None:
    (script,) = blocks(NODE_PAGE, "js")
    redis_server = start_redis(**login)
    node = await start_node(major, redis_server)
    (tmp_path / "worker.js").write_text(script)
    (tmp_path / "node_modules").symlink_to(NODE_FOLDER / major / "node_modules")
    program = shutil.which("node")
    assert program is not None
    environment = {
        **redis_server.environment, "QUEUE_NAME": "emails", "QUEUE_PREFIX": "shop", "QUEUE_CONCURRENCY": "2",
        "WORKER_NAME": "pod-1", "HTTP_PORT": str(free_port()),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        program, "worker.js", cwd=tmp_path, env=os.environ | environment
    )
    try:
        queue = node.queue("emails", prefix="shop")
        item_id = await queue.add("x", {"to": "you"})
        await until(lambda: _completed(queue, 1))
        item = await queue.item(item_id)
        assert item is not None
        assert (item.returnvalue, item.processedBy) == ({"sent": "you"}, "pod-1")
        with pytest.raises(NodeError, match="to: required"):
            await queue.wait_until_finished(await queue.add("x", {}, attempts=5), limit=10)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def _completed(queue: object, count: int) -> bool:
    return (await queue.counts())["completed"] >= count  # type: ignore[attr-defined]
