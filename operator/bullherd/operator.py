"""The operator's process, put together.

Telemetry comes up first and serves standby and leader alike. Then one candidate gets the Lease and starts, in
this order: the first list of QueueJobs, everyone's claims, the reconcile loop, and Kopf with its watches. Our
own tasks are made before Kopf's: on its way out Kopf cancels every task in the loop that is younger than
itself. Whatever of these ends first ends the process: a lost Lease because another operator may be at work
already, a dead loop because a restart is the honest repair.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from secrets import token_hex
from typing import Any

import kopf
import structlog

from bullherd import __version__
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.queuejobs import QueueJobReconciler
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.resync import Resync
from bullherd.controllers.server_watch import WatchIntervals
from bullherd.controllers.statuses import StatusWriter
from bullherd.controllers.workqueue import WorkQueue
from bullherd.handlers import kopf_settings, register_handlers
from bullherd.kube.client import Kubernetes
from bullherd.kube.leases import LeaseHolder
from bullherd.settings import OperatorSettings
from bullherd.telemetry.health import Health
from bullherd.telemetry.http import serve_telemetry
from bullherd.telemetry.logs import configure_logs
from bullherd.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)

_CONNECTIONS_RELOAD = 5.0
"""Seconds between two looks at the folder of connections; the kubelet itself takes up to a minute to change
it.
"""


async def run_operator(settings: OperatorSettings) -> int:
    """Run until a signal (returns 0) or until something that must not end has ended (returns 1)."""
    configure_logs(settings.log_format, settings.log_level)
    health, metrics = Health(), OperatorMetrics()
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    async with (
        serve_telemetry(settings.http_host, settings.http_port, health, metrics),
        await Kubernetes.connect() as kubernetes,
    ):
        # As client-go: two processes that were given one name must not take each other for themselves.
        identity = f"{settings.pod_name}_{token_hex(4)}"
        lease_pulse = health.pulse("lease", 4 * settings.lease_duration_seconds)
        lease = LeaseHolder(
            kubernetes,
            settings.namespace,
            settings.lease_name,
            identity,
            settings.lease_terms,
            lease_pulse.beat,
        )
        health.ready = True
        log.info("standing_by", lease=settings.lease_name, identity=identity, version=__version__)
        if await _first_of(stopping.wait(), lease.acquire()) == 0:
            return 0
        try:
            metrics.leader.set(1)
            return await _lead(settings, kubernetes, lease, health, metrics, stopping)
        except Exception as error:
            # Said in the log's own format; the restart is the repair.
            log.error("operator_failed", reason=str(error), exc_info=error)
            return 1
        finally:
            metrics.leader.set(0)
            await lease.release()
            log.info("operator_stopped")


async def _lead(
    settings: OperatorSettings,
    kubernetes: Kubernetes,
    lease: LeaseHolder,
    health: Health,
    metrics: OperatorMetrics,
    stopping: asyncio.Event,
) -> int:
    intervals = WatchIntervals(
        settings.tick_seconds, settings.stalled_check_seconds, settings.max_stalled_count
    )
    connections = Connections(kubernetes, settings.connections_dir)
    statuses = StatusWriter(kubernetes, metrics)

    async def reconcile(key: JobKey) -> float | None:
        return await reconciler.reconcile(key)

    def failed(key: JobKey, error: Exception) -> None:
        metrics.reconcile_errors.labels(*key).inc()
        log.error("reconcile_failed", namespace=key[0], queuejob=key[1], reason=str(error), exc_info=error)

    claimed = asyncio.Event()
    work = WorkQueue(reconcile, failed)
    registry = Registry(work.wake)
    async with DemandWatch(work.wake, intervals, health, metrics) as demand:
        reconciler = QueueJobReconciler(
            kubernetes, registry, connections, demand, statuses, metrics, settings.priority_class_prefix
        )
        resync_pulse = health.pulse("watch of QueueJobs", 4 * settings.resync_seconds)
        resync = Resync(
            kubernetes, registry, settings.watch_namespaces, settings.resync_seconds, resync_pulse
        )

        async def start_then_work() -> None:
            await connections.reload()
            await resync.first()
            await reconciler.claim_all()
            log.info("operator_started", version=__version__, queuejobs=len(registry.keys))
            claimed.set()
            await work.run(health.pulse("reconcile", 60).beat)

        async def watch() -> None:
            await claimed.wait()
            await _run_kopf(settings, registry, stopping)

        async def reload_connections() -> None:
            while True:
                await asyncio.sleep(_CONNECTIONS_RELOAD)
                if await connections.reload():
                    for key in registry.keys:
                        work.wake(key)

        ended = await _first_of(
            stopping.wait(),
            lease.hold(),
            start_then_work(),
            reload_connections(),
            resync.run(),
            watch(),
        )
    return 0 if ended == 0 or stopping.is_set() else 1


async def _run_kopf(settings: OperatorSettings, registry: Registry, stopping: asyncio.Event) -> None:
    kopf_registry = kopf.OperatorRegistry()
    register_handlers(kopf_registry, registry)
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=kopf_registry,
        settings=kopf_settings(watch_all=not settings.watch_namespaces),
        # Unused without peering, but Kopf would ask for the name of a user that a container need not have.
        identity=settings.pod_name,  # type: ignore[arg-type]  # Kopf's own type is private
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
    )
    # Kopf has just taken the signals for itself. It would then wait five seconds for loops of ours, which end
    # only when they are cancelled, and a standby would wait with it.
    _stop_on_signals(stopping)
    await kopf.run_tasks(tasks, ignored=ours)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)


async def _first_of(*coroutines: Coroutine[Any, Any, object]) -> int:
    """Run all, end all when one ends; its place in the list, or its exception."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    first = min(tasks.index(task) for task in done)
    tasks[first].result()
    return first
