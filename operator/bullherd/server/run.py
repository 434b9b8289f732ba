"""The server's process, put together.

It watches and reads as the operator does, but nobody has to lead: it changes nothing in Redis and no
QueueJobs. The port opens when there is something true to say, which takes a list of the QueueJobs, the API
servers' word on the front proxy, and a certificate; it is ready when each queue has been read, or could not
be. A Redis that is away makes it no less ready: its queues say so themselves, and an API that is away for all
would hold up discovery and the deletion of namespaces in the whole cluster.

Asked to end, it says that it is not ready and goes on for a moment, until nobody is sent here any more.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from bullherd import __version__
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.resync import Resync
from bullherd.controllers.server_watch import WatchIntervals
from bullherd.controllers.workqueue import WorkQueue
from bullherd.handlers import register_queuejobs
from bullherd.kube.client import Kubernetes
from bullherd.process import begun, first_of, keep_reading, run_kopf
from bullherd.server.api import ExternalMetricsApi
from bullherd.server.callers import Callers
from bullherd.server.certificates import CertificateKeeper
from bullherd.server.front_proxy import FrontProxyWatch
from bullherd.server.port import TlsPort
from bullherd.server.queues import WatchedQueues
from bullherd.server.tls import LiveContext
from bullherd.settings import ServerSettings
from bullherd.telemetry.health import Health
from bullherd.telemetry.server_metrics import ServerMetrics

log = structlog.get_logger(__name__)

_PULSE_LIMIT = 120.0
"""Seconds without a turn after which a loop that asks the API server counts as stuck."""

_LEAVING = 2.0
"""Seconds to go on after being asked to end: API servers hear of it a little later than we do."""


async def run_server(settings: ServerSettings) -> int:
    """Run until a signal (returns 0) or until something that must not end has ended (returns 1)."""
    metrics = ServerMetrics()
    async with begun(settings, metrics) as (health, kubernetes, stopping):
        try:
            return await _serve(settings, kubernetes, health, metrics, stopping)
        except Exception as error:
            # Said in the log's own format; the restart is the repair.
            log.error("server_failed", reason=str(error), exc_info=error)
            return 1
        finally:
            log.info("server_stopped")


async def _serve(
    settings: ServerSettings,
    kubernetes: Kubernetes,
    health: Health,
    metrics: ServerMetrics,
    stopping: asyncio.Event,
) -> int:
    connections = Connections(kubernetes, settings.connections_dir)

    async def follow(key: JobKey) -> float | None:
        return await queues.follow(key)

    def failed(key: JobKey, error: Exception) -> None:
        log.error("follow_failed", namespace=key[0], queuejob=key[1], reason=str(error), exc_info=error)

    def seen(key: JobKey) -> None:
        if queues.seen(key):
            work.wake(key)

    def wake_all() -> None:
        for key in registry.keys:
            work.wake(key)

    def distrusted() -> None:
        port.end_connections()

    work = WorkQueue(follow, failed)
    registry = Registry(work.wake)
    live = LiveContext()
    front_proxy = FrontProxyWatch(
        kubernetes,
        settings.authentication_config_map,
        live,
        distrusted,
        health.pulse("look at the front proxy", _PULSE_LIMIT),
    )
    certificates = CertificateKeeper(
        kubernetes, settings, live, metrics, health.pulse("look at the certificate", _PULSE_LIMIT)
    )
    resync_pulse = health.pulse("watch of QueueJobs", 4 * settings.resync_seconds)
    resync = Resync(kubernetes, registry, settings.watch_namespaces, settings.resync_seconds, resync_pulse)
    known = asyncio.Event()

    intervals = WatchIntervals(settings.tick_seconds, stalled_check=None)
    async with DemandWatch(seen, intervals, health, metrics) as demand:
        queues = WatchedQueues(registry, connections, demand, resync)
        metrics.measure_oldest_reading(queues.oldest_reading_age)
        callers = Callers(kubernetes, front_proxy)
        api = ExternalMetricsApi(callers, queues, health, metrics, settings.stale_after_seconds)
        port = TlsPort(settings.https_host, settings.https_port, live, api.answer)

        async def learn_then_follow() -> None:
            await connections.reload()
            await resync.first()
            await queues.follow_all()
            known.set()
            await work.run(health.pulse("follow", 60).beat)

        async def watch() -> None:
            await known.wait()
            await run_kopf(settings, partial(register_queuejobs, registry=registry), stopping)

        async def serve() -> None:
            await known.wait()
            await front_proxy.first()
            await certificates.first()
            async with port:
                log.info("port_open", port=port.number)
                await queues.read_once()
                health.ready = True
                log.info("server_started", version=__version__, queuejobs=len(registry.keys))
                await first_of(front_proxy.run(), certificates.run())

        async def leave() -> None:
            await stopping.wait()
            health.ready = False
            await asyncio.sleep(_LEAVING)

        ended = await first_of(
            leave(),
            learn_then_follow(),
            keep_reading(connections, wake_all),
            resync.run(),
            watch(),
            serve(),
        )
    return 0 if ended == 0 or stopping.is_set() else 1
