"""The operator's process, put together.

Telemetry comes up first and serves standby and leader alike. Then one candidate gets the Lease and starts, in
this order: the first list of QueueJobs, everyone's claims, the reconcile loop, and Kopf with its watches.
Whatever of these ends first ends the process: a lost Lease because another operator may be at work already, a
dead loop because a restart is the honest repair.
"""

from __future__ import annotations

import asyncio
from functools import partial
from secrets import token_hex

import structlog

from bullherd import __version__
from bullherd.controllers.budget import Budgets
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.external_metrics import ExternalMetricsLook
from bullherd.controllers.first_asks import first_asks
from bullherd.controllers.queuejobs import QueueJobReconciler
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.resync import Resync
from bullherd.controllers.server_watch import WatchIntervals
from bullherd.controllers.statuses import StatusWriter
from bullherd.controllers.workqueue import WorkQueue
from bullherd.handlers import register_handlers
from bullherd.kube.client import Kubernetes
from bullherd.kube.leases import LeaseHolder
from bullherd.process import begun, first_of, keep_reading, run_kopf
from bullherd.settings import OperatorSettings
from bullherd.telemetry.health import Health
from bullherd.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)


async def run_operator(settings: OperatorSettings) -> int:
    """Run until a signal (returns 0) or until something that must not end has ended (returns 1)."""
    metrics = OperatorMetrics()
    async with begun(settings, metrics) as (health, kubernetes, stopping):
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
        if await first_of(stopping.wait(), lease.acquire()) == 0:
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

    def wake_all() -> None:
        for key in registry.keys:
            work.wake(key)

    budgets = Budgets(settings.budget_limits, work.wake)
    external_metrics = ExternalMetricsLook(kubernetes, settings.namespace, settings.metrics_service, wake_all)
    async with DemandWatch(work.wake, intervals, health, metrics) as demand:
        reconciler = QueueJobReconciler(
            kubernetes,
            registry,
            connections,
            demand,
            statuses,
            external_metrics,
            budgets,
            metrics,
            settings.priority_class_prefix,
        )
        resync_pulse = health.pulse("watch of QueueJobs", 4 * settings.resync_seconds)
        resync = Resync(
            kubernetes, registry, settings.watch_namespaces, settings.resync_seconds, resync_pulse
        )

        async def start_then_work() -> None:
            await connections.reload()
            await external_metrics.look()
            await resync.first()
            if settings.budget_limits:
                budgets.begin(await first_asks(kubernetes, registry, settings.watch_namespaces))
            await reconciler.claim_all()
            log.info("operator_started", version=__version__, queuejobs=len(registry.keys))
            claimed.set()
            await work.run(health.pulse("reconcile", 60).beat)

        async def watch() -> None:
            await claimed.wait()
            await run_kopf(settings, partial(register_handlers, registry=registry), stopping)

        ended = await first_of(
            stopping.wait(),
            lease.hold(),
            start_then_work(),
            keep_reading(connections, wake_all),
            resync.run(),
            external_metrics.run(),
            watch(),
        )
    return 0 if ended == 0 or stopping.is_set() else 1
