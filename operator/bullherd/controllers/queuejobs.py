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
from dataclasses import replace

import structlog

from bullherd.api import Engine, InvalidQueueJob, QueueJob
from bullherd.controllers.budget import Budgets
from bullherd.controllers.claims import Claims
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.external_metrics import ExternalMetricsLook
from bullherd.controllers.following import RETRY_UNREADABLE, QueueFollower
from bullherd.controllers.objects import REFRESH, RETRY_REFUSED, WorkerObjects
from bullherd.controllers.pods import PodLooks
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.scale_in import ScaleInLooks
from bullherd.controllers.statuses import StatusWriter
from bullherd.core.autoscaler import AutoscalerState
from bullherd.core.budget import Ask
from bullherd.core.connection import ConnectionProblem
from bullherd.core.engine import MetricsOwner
from bullherd.core.findings import PODS_NOT_STARTING
from bullherd.core.observed import DeploymentState, Observed
from bullherd.core.pods import homeless_pods
from bullherd.core.reconcile import Plan, decide, queue_of
from bullherd.kube.autoscalers import autoscaler_state, read_autoscaler
from bullherd.kube.client import Kubernetes
from bullherd.kube.deployments import deployment_state, read_deployment
from bullherd.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 1.0
"""Seconds after which busy pods are looked at again when the last look failed."""


class QueueJobReconciler:
    """Reconciles one QueueJob at a time; see the module."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        registry: Registry,
        connections: Connections,
        demand: DemandWatch,
        statuses: StatusWriter,
        external_metrics: ExternalMetricsLook,
        budgets: Budgets,
        metrics: OperatorMetrics,
        priority_class_prefix: str,
    ) -> None:
        self._kubernetes = kubernetes
        self._registry = registry
        self._demand = demand
        self._statuses = statuses
        self._external_metrics = external_metrics
        self._budgets = budgets
        self._metrics = metrics
        self._priority_class_prefix = priority_class_prefix
        self._follower = QueueFollower(connections, demand)
        self._claims = Claims(kubernetes, registry, connections)
        self._pods = PodLooks(kubernetes)
        self._busy = ScaleInLooks(kubernetes)
        self._objects = WorkerObjects(kubernetes, registry)

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
        observed, plan = await self._decide(key, observed, now)
        before = observed.replicas
        settled, error = await self._objects.apply(key, observed, plan, now)
        if (
            settled.template_refusal != observed.template_refusal
            or error is not None
            or (settled.autoscaler_refusal != observed.autoscaler_refusal)
        ):
            plan = self._plan(settled, now)
        self._demand.set_asleep(key, settled.replicas == 0)
        self._measure(key, settled, plan, before, now)
        status_due = await self._statuses.write(key, settled, plan, before, now)
        if error is not None:
            raise error
        waits = (
            plan.requeue_after,
            status_due,
            self._look_due(key, settled, now),
            REFRESH,
            RETRY_REFUSED if settled.template_refusal or settled.autoscaler_refusal else None,
            RETRY_UNREADABLE if settled.redis_problem else None,
            _LOOK_AGAIN if plan.busy_unknown else None,
            # The plan was for an HPA, and now it is for none.
            0.0 if settled.autoscaler_refusal != observed.autoscaler_refusal else None,
        )
        return min(wait for wait in waits if wait is not None)

    async def _decide(self, key: JobKey, observed: Observed, now: float) -> tuple[Observed, Plan]:
        """The plan, in up to three steps: what the queue asks for, what the budgets leave of it, and who is
        busy if it means fewer pods.
        """
        plan = self._plan(observed, now)
        if self._budgets.limits and plan.engine is not None:
            observed = replace(observed, grant=self._budgets.grant(_ask(key, observed, plan)))
            plan = self._plan(observed, now)
        if not plan.busy_unknown:
            return observed, plan
        reader = self._demand.holder_reader(key)
        busy = await self._busy.look(key, reader, queue_of(observed.job)) if reader else None
        if busy is None:
            return observed, plan
        await self._busy.mark(key, busy)
        observed = replace(observed, busy=busy.count)
        return observed, self._plan(observed, now)

    def _plan(self, observed: Observed, now: float) -> Plan:
        with self._metrics.decision_seconds.time():
            return decide(observed, self._priority_class_prefix, now)

    async def _observe(self, key: JobKey, job: QueueJob, now: float) -> Observed:
        connection = await self._follower.connect(key, job)
        claim = self._claims.note(key, job, connection)
        rival = self._registry.rival_of(claim) if claim else None
        self._follower.follow(key, job, connection if rival is None else None)
        reading = self._demand.reading(key)
        observed = Observed(
            job=job,
            connection=connection,
            rival=rival,
            snapshot=reading.snapshot,
            redis_problem=reading.problem,
            deployment=await self._deployment(key),
            autoscaler=await self._autoscaler(key, job),
            external_metrics=self._external_metrics.seen,
            scale_in=self._statuses.scale_in(key, job),
            grown_at=self._statuses.grown_at(key, job),
        )
        observed = self._objects.with_memories(key, observed, now)
        pods = await self._pods.look(key, self._look_due(key, observed, now), now)
        return replace(observed, pods=pods)

    async def _deployment(self, key: JobKey) -> DeploymentState | None:
        """The watch knows only Deployments with our label; a stranger's of the same name must not be taken
        over.
        """
        if (known := self._registry.deployments.get(key)) is not None:
            return known
        body = await read_deployment(self._kubernetes, *key)
        return deployment_state(body) if body is not None else None

    async def _autoscaler(self, key: JobKey, job: QueueJob) -> AutoscalerState | None:
        """As with the Deployment; asked for only where one would be made."""
        known = self._registry.autoscalers.get(key)
        if known is not None or job.spec.scaling.engine is not Engine.HPA:
            return known
        if self._external_metrics.seen.owner not in (MetricsOwner.OURS, MetricsOwner.UNAVAILABLE):
            return None
        body = await read_autoscaler(self._kubernetes, *key)
        return autoscaler_state(body) if body is not None else None

    def _look_due(self, key: JobKey, observed: Observed, now: float) -> float | None:
        """Seconds until the workers' pods are worth a look; never while the QueueJob is not accepted."""
        if isinstance(observed.connection, ConnectionProblem) or observed.rival is not None:
            return None
        in_trouble = self._statuses.tells(key, observed.job, PODS_NOT_STARTING)
        return self._pods.due(key, observed.workers, in_trouble, now)

    def _measure(self, key: JobKey, observed: Observed, plan: Plan, before: int, now: float) -> None:
        if (snapshot := observed.snapshot) is not None:
            self._metrics.observe_queue(*key, snapshot)
            if before == 0 and observed.replicas > 0 and snapshot.oldest_item_at is not None:
                self._metrics.wake_seconds.observe(max(0.0, now - snapshot.oldest_item_at))
        denied = max(0, plan.demand - observed.grant.now) if observed.grant else 0
        live = observed.deployment
        self._metrics.observe_workers(
            *key,
            desired=plan.desired_replicas,
            ready=live.ready_replicas if live else 0,
            denied=denied,
            unschedulable=len(homeless_pods(observed.pods or ())),
        )

    def _forget(self, key: JobKey) -> None:
        self._registry.claim(key, None)
        self._demand.forget(key)
        self._statuses.forget(key)
        self._metrics.forget(*key)
        self._pods.forget(key)
        self._objects.forget(key)
        self._budgets.forget(key)


def _ask(key: JobKey, observed: Observed, plan: Plan) -> Ask:
    """What the budgets are asked for. An HPA may take what its ``maxReplicas`` allows without asking."""
    current = observed.replicas
    if observed.autoscaler is not None and plan.engine is Engine.HPA and current > 0:
        current = max(current, observed.autoscaler.most)
    active = observed.snapshot.active if observed.snapshot else observed.replicas
    return Ask(
        key,
        observed.job.spec.priority,
        observed.job.metadata.creation_timestamp.timestamp(),
        wanted=max(plan.demand, plan.desired_replicas),
        current=current,
        # Each busy pod holds an item at least, so there are not more of them than items.
        busy=min(observed.replicas, active) if observed.busy is None else observed.busy,
    )
