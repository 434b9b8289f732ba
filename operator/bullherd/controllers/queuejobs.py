"""The reconciler of QueueJobs: observe, decide, apply, write the status once.

Handlers and watches only put what they saw into the registry and wake a key; every reconcile looks at the
whole truth. All that this process remembers can be lost: a new leader gets QueueJobs and Deployments from its
watches' first lists, the queues from Redis, and the wait to shrink from the status.

Windows that a crash may hit: after the Deployment was made and before its replicas have their own field
manager (the next cycle sees ``scaling_owned`` false and sets them first); after scaling and before the status
(the next cycle finds the replicas as wanted and writes it); between status and Event (that Event is lost,
nothing else).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from bullherd.api import InvalidQueueJob, QueueJob
from bullherd.controllers.claims import Claims
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.pods import PodLooks
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.statuses import Scaling, StatusWriter
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.deployment import fingerprint_of
from bullherd.core.reconcile import (
    PODS_NOT_STARTING,
    DeploymentState,
    Observed,
    Plan,
    decide,
    failure_of,
    queue_of,
)
from bullherd.kube.client import Body, Kubernetes, KubernetesError
from bullherd.kube.deployments import (
    apply_template,
    create_deployment,
    deployment_state,
    read_deployment,
    scale_deployment,
)
from bullherd.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)

_REFRESH = 300.0
"""Seconds after which the template is applied again though nothing seems to have changed: it heals what
others edited.
"""

_RETRY_REFUSED = 30.0
"""Seconds after which a refused template is tried again: what refused it (a quota, a webhook) may have
changed.
"""

_RETRY_UNREADABLE = 15.0
"""Seconds after which the Secrets of a QueueJob whose Redis cannot be read are read again: no watch tells of
a new password.
"""


@dataclass(frozen=True, slots=True)
class _Applied:
    """The last template that this process applied for a QueueJob, or why it was refused."""

    fingerprint: str
    at: float
    rejection: str | None = None


class QueueJobReconciler:
    """Reconciles one QueueJob at a time; see the module."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        registry: Registry,
        connections: Connections,
        demand: DemandWatch,
        statuses: StatusWriter,
        metrics: OperatorMetrics,
        priority_class_prefix: str,
    ) -> None:
        self._kubernetes = kubernetes
        self._registry = registry
        self._connections = connections
        self._demand = demand
        self._statuses = statuses
        self._metrics = metrics
        self._priority_class_prefix = priority_class_prefix
        self._claims = Claims(kubernetes, registry, connections)
        self._pods = PodLooks(kubernetes)
        self._applied: dict[JobKey, _Applied] = {}

    async def reconcile(self, key: JobKey) -> float | None:
        """One cycle; returns seconds after which time alone may change the answer."""
        known = self._registry.job(key)
        if known is None or known.is_being_deleted:
            # Its Deployment goes by owner reference, and the pods end their items in their grace; nothing is
            # made anew.
            self._forget(key)
            return None
        if isinstance(known.job, InvalidQueueJob):
            # Its claim stays, as its pods do: a younger QueueJob must not start workers beside them.
            self._demand.forget(key)
            await self._statuses.report_invalid(key, known.uid, known.generation, known.job, time.time())
            return None
        with self._metrics.reconcile_seconds.time():
            return await self._reconcile(key, known.job)

    async def claim_all(self) -> None:
        """Note every known QueueJob's claim; to be called before the first reconcile."""
        await self._claims.note_all()

    async def _reconcile(self, key: JobKey, job: QueueJob) -> float | None:
        now = time.time()
        observed = await self._observe(key, job, now)
        plan = decide(observed, self._priority_class_prefix, now)
        before = observed.deployment.replicas if observed.deployment else 0
        observed, error = await self._apply(key, observed, plan, now)
        if observed.rejection is not None or error is not None:
            plan = decide(observed, self._priority_class_prefix, now)
        after = observed.deployment.replicas if observed.deployment else 0
        self._demand.set_asleep(key, after == 0)
        self._measure(key, observed, plan)
        status_due = await self._statuses.write(key, observed, plan, Scaling(before, after), now)
        if error is not None:
            raise error
        waits = (
            plan.requeue_after,
            status_due,
            self._look_due(key, observed, now),
            _REFRESH,
            _RETRY_REFUSED if observed.rejection else None,
            _RETRY_UNREADABLE if observed.redis_problem else None,
        )
        return min(wait for wait in waits if wait is not None)

    async def _observe(self, key: JobKey, job: QueueJob, now: float) -> Observed:
        if self._demand.reading(key).problem is not None:
            self._connections.distrust(job)
        connection = await self._connections.resolve(job)
        claim = self._claims.note(key, job, connection)
        rival = self._registry.rival_of(claim) if claim else None
        if isinstance(connection, Connection) and rival is None:
            self._demand.follow(key, connection.endpoint, queue_of(job))
        else:
            self._demand.forget(key)
        reading = self._demand.reading(key)
        deployment = self._registry.deployment(key)
        if deployment is None:
            # The watch knows only Deployments with our label; a stranger's of the same name must not be taken
            # over.
            body = await read_deployment(self._kubernetes, *key)
            deployment = deployment_state(body) if body is not None else None
        applied = self._applied.get(key)
        rejection = applied.rejection if applied and now - applied.at < _RETRY_REFUSED else None
        lasts = _REFRESH if applied is None or applied.rejection is None else _RETRY_REFUSED
        observed = Observed(
            job=job,
            connection=connection,
            rival=rival,
            snapshot=reading.snapshot,
            redis_problem=reading.problem,
            deployment=deployment,
            rejection=rejection,
            rejected_fingerprint=applied.fingerprint if applied and rejection is not None else None,
            refresh=applied is None or now - applied.at >= lasts,
            scale_in=self._statuses.scale_in(key, job),
        )
        pods = await self._pods.look(key, self._look_due(key, observed, now), now)
        return replace(observed, pods=pods)

    def _look_due(self, key: JobKey, observed: Observed, now: float) -> float | None:
        """Seconds until the workers' pods are worth a look; never while the QueueJob is not accepted."""
        if isinstance(observed.connection, ConnectionProblem) or observed.rival is not None:
            return None
        in_trouble = self._statuses.tells(key, observed.job, PODS_NOT_STARTING)
        return self._pods.due(key, observed.workers, in_trouble, now)

    async def _apply(
        self, key: JobKey, observed: Observed, plan: Plan, now: float
    ) -> tuple[Observed, KubernetesError | None]:
        """Carry out the plan. What comes back has the Deployment as it then is, and why it was refused or
        failed, if it was; the error is to be raised when that has been told.
        """
        live, manifest = observed.deployment, plan.manifest
        doing: Literal["ScalingFailed", "ApplyFailed"] = "ApplyFailed"
        try:
            if manifest is not None and live is None:
                live = self._seen(await create_deployment(self._kubernetes, manifest, plan.replicas or 0))
            else:
                if plan.replicas is not None:
                    doing = "ScalingFailed"
                    live = self._seen(await scale_deployment(self._kubernetes, *key, plan.replicas))
                if manifest is not None:
                    doing = "ApplyFailed"
                    live = self._seen(await apply_template(self._kubernetes, manifest))
        except KubernetesError as error:
            if await self._has_vanished(key, live, error):
                self._registry.remove_deployment(key)
                raise
            if error.unanswered:
                # Nor would the API server take the news.
                raise
            observed = replace(observed, deployment=live)
            if not error.refused or manifest is None or doing == "ScalingFailed":
                return replace(observed, failure=failure_of(doing, plan, error.message)), error
            self._applied[key] = _Applied(fingerprint_of(manifest), now, error.message)
            log.warning("template_rejected", namespace=key[0], queuejob=key[1], reason=error.message)
            rejected = fingerprint_of(manifest)
            return replace(observed, rejection=error.message, rejected_fingerprint=rejected), None
        if manifest is not None:
            self._applied[key] = _Applied(fingerprint_of(manifest), now)
        return replace(observed, deployment=live), None

    async def _has_vanished(self, key: JobKey, live: DeploymentState | None, error: KubernetesError) -> bool:
        """Whether a request failed because the Deployment is gone and its watch has not said so: replicas
        alone make no Deployment, so the API server calls them invalid.
        """
        if live is None or not (error.missing or error.refused):
            return False
        return await read_deployment(self._kubernetes, *key) is None

    def _seen(self, body: Body) -> DeploymentState:
        return self._registry.put_deployment(body)

    def _measure(self, key: JobKey, observed: Observed, plan: Plan) -> None:
        if observed.snapshot is not None:
            self._metrics.observe_queue(*key, observed.snapshot)
        self._metrics.desired_replicas.labels(*key).set(plan.desired_replicas)
        ready = observed.deployment.ready_replicas if observed.deployment else 0
        self._metrics.ready_replicas.labels(*key).set(ready)

    def _forget(self, key: JobKey) -> None:
        self._registry.claim(key, None)
        self._demand.forget(key)
        self._statuses.forget(key)
        self._metrics.forget(*key)
        self._pods.forget(key)
        self._applied.pop(key, None)
