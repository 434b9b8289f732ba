"""``bullherd-worker MODULE [MODULE…]``: import the modules, whose ``@job`` functions register, and work the
queue.

Exit codes: 0 after a drain, 1 when a part of the worker broke, 2 when it could not start.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import structlog
from pydantic import ValidationError

from bullherd_worker import logs
from bullherd_worker.errors import UnknownJobKindError
from bullherd_worker.http_server import HttpServer
from bullherd_worker.registry import JobKind, default_registry, describe
from bullherd_worker.settings import Settings
from bullherd_worker.worker import Worker

OK, BROKEN, CANNOT_START = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    parser = argparse.ArgumentParser(
        prog="bullherd-worker",
        description="Works a BullMQ queue with job kinds in Python. The environment says which: QUEUE_NAME, "
        "QUEUE_PREFIX, QUEUE_CONCURRENCY, JOB_KIND, REDIS_HOST and the other REDIS_…, WORKER_NAME.",
    )
    parser.add_argument(
        "modules", metavar="MODULE", nargs="+", help="Python module that registers job kinds with @job"
    )
    modules = parser.parse_args(arguments).modules
    try:
        settings = Settings()
    except ValidationError as error:
        _refuse(f"The environment is not complete: {describe_settings(error)}")
    password = settings.redis.password
    logs.configure(
        settings.worker.log_format,
        settings.worker.log_level,
        None if password is None else password.get_secret_value(),
    )
    kind = _load(modules, settings)
    # Not asyncio.run, and not the interpreter's own end: both wait for handlers that ignore their
    # cancellation.
    code = asyncio.new_event_loop().run_until_complete(_run(settings, kind))
    sys.stdout.flush()
    os._exit(code)


def _load(modules: Sequence[str], settings: Settings) -> JobKind:
    sys.path.insert(0, "")
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001 # a module may fail in any way; say which one and how
            _refuse(f"Module {module} cannot be imported:\n{traceback.format_exc()}")
    try:
        return default_registry.get(settings.kind_name)
    except UnknownJobKindError as problem:
        _refuse(str(problem))


async def _run(settings: Settings, kind: JobKind) -> int:
    worker = Worker(settings, kind)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    server = HttpServer(worker.problems, worker.measure, worker.metrics.registry)
    log = structlog.get_logger()
    try:
        port = await server.start(settings.worker.http_host, settings.worker.http_port)
    except OSError as problem:
        log.error("worker_cannot_listen", port=settings.worker.http_port, problem=str(problem))
        return CANNOT_START
    log.info("http_listening", port=port)
    try:
        return OK if await worker.run() else BROKEN
    finally:
        await server.stop()


def describe_settings(error: ValidationError) -> str:
    """Missing and wrong settings by their variables."""
    prefix = {"RedisSettings": "REDIS_", "QueueSettings": "QUEUE_", "WorkerSettings": "WORKER_"}.get(
        error.title, ""
    )
    return describe(error, lambda name: f"{prefix}{name}".upper())


def _refuse(message: str) -> NoReturn:
    print(f"bullherd-worker: {message}", file=sys.stderr)  # noqa: T201 # no logs yet
    raise SystemExit(CANNOT_START)


if __name__ == "__main__":
    main()
