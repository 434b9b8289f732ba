"""What to do about one QueueJob: everything that was observed goes in, a plan comes out.

Order of the questions: may this QueueJob have its queue at all (connection, namespace, rival)? Is its
Deployment ours and as wanted? Is Redis read? How many replicas? A no to the first leaves what runs alone, but
for a queue that belongs to an older QueueJob: its workers would be sized twice, so they go. A Redis that
cannot be read holds the replicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bullherd.api import ConditionStatus, QueueJob
from bullherd.core.claims import QueueClaim, ServedQueue
from bullherd.core.conditions import Finding
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.deployment import Manifest, fingerprint_of, worker_deployment
from bullherd.core.pods import PodState, why_none_works
from bullherd.core.scaling import ScaleIn, ScalingDecision, ScalingPolicy, decide_replicas
from bullherd.core.snapshot import QueueKey, QueueSnapshot

READY = "Ready"
REDIS_REACHABLE = "RedisReachable"
PODS_NOT_STARTING = "PodsNotStarting"


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """What matters of a live Deployment. ``scaling_owned``: our scaling field manager owns its replicas
    already.

    ``serves``: the queue that its pods work. ``unavailable_since``: since when too few of them are ready,
    unix seconds. ``problem``: why it cannot start pods, in the words of its own conditions.
    """

    owner_uid: str | None
    fingerprint: str | None
    replicas: int
    existing_replicas: int = 0
    ready_replicas: int = 0
    scaling_owned: bool = False
    serves: ServedQueue | None = None
    unavailable_since: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request about the Deployment that failed, and is tried again; ``reason`` is CamelCase for the
    condition.
    """

    reason: Literal["ScalingFailed", "ApplyFailed"]
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at everything that concerns a QueueJob.

    ``redis_problem``: why the last read of the queue failed; ``snapshot`` is then the last good one, or None.
    ``rejection``: what the API server said when it refused the manifest with ``rejected_fingerprint``.
    ``failure``: what just went wrong otherwise. ``refresh``: apply the manifest though the Deployment seems
    to have it, in case somebody edited it. ``pods``: the workers', when there was reason to look at them.
    """

    job: QueueJob
    connection: Connection | ConnectionProblem
    rival: QueueClaim | None = None
    snapshot: QueueSnapshot | None = None
    redis_problem: str | None = None
    deployment: DeploymentState | None = None
    rejection: str | None = None
    rejected_fingerprint: str | None = None
    failure: Failure | None = None
    refresh: bool = False
    pods: tuple[PodState, ...] | None = None
    scale_in: ScaleIn | None = None

    @property
    def workers(self) -> DeploymentState | None:
        """The Deployment, if it is this QueueJob's own and not a stranger's of the same name."""
        live = self.deployment
        return live if live is not None and live.owner_uid == self.job.metadata.uid else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the shell applies: the Deployment, then the status.

    ``manifest`` None: the Deployment is as wanted, or must be left alone. ``replicas`` None: leave them
    alone. With both, a new Deployment is made with its replicas; on an existing one the replicas go first, so
    that they always have an owner.
    """

    findings: tuple[Finding, ...]
    reason: str
    manifest: Manifest | None = None
    replicas: int | None = None
    desired_replicas: int = 0
    scale_in: ScaleIn | None = None
    requeue_after: float | None = None


def decide(observed: Observed, priority_class_prefix: str, now: float) -> Plan:
    """The plan for one QueueJob. ``now`` is unix seconds."""
    if isinstance(observed.connection, ConnectionProblem):
        # No watch tells that a Secret was made or mended.
        return _hold(observed, observed.connection.reason, observed.connection.message, requeue_after=15.0)
    if observed.rival is not None:
        return _yield_queue(observed, observed.rival)
    if (stranger := _stranger(observed)) is not None:
        return _hold(observed, "DeploymentNotOurs", stranger, requeue_after=5.0)

    manifest = worker_deployment(observed.job, observed.connection, priority_class_prefix)
    current = observed.deployment.replicas if observed.deployment else 0
    scaling = _scale(observed, current, now)
    applied = observed.deployment.fingerprint if observed.deployment else None
    wanted = fingerprint_of(manifest)
    refused = observed.rejection is not None and observed.rejected_fingerprint == wanted
    needs_apply = (applied != wanted or observed.refresh) and not refused
    missing = observed.deployment is None and refused
    return Plan(
        findings=(_ready(observed, refused, now), _redis_reachable(observed)),
        reason=scaling.reason,
        manifest=manifest if needs_apply else None,
        replicas=None if missing else _replicas_to_write(observed, scaling, needs_apply),
        desired_replicas=scaling.replicas,
        scale_in=scaling.scale_in,
        requeue_after=scaling.requeue_after,
    )


def failure_of(doing: Literal["ScalingFailed", "ApplyFailed"], plan: Plan, said: str) -> Failure:
    """What to tell of a request that failed while a plan was carried out; ``said`` by the API server."""
    scaling = f"scale the workers to {plan.replicas}"
    what = scaling if doing == "ScalingFailed" else "apply the workers' Deployment"
    return Failure(
        doing,
        f"Bullherd could not {what}: {said.rstrip('.')}. It tries again; if that does not help, mend what "
        f"this names: the operator's own rights, an admission webhook, a quota, or the cluster.",
    )


def queue_of(job: QueueJob) -> QueueKey:
    """The queue that a QueueJob names."""
    return QueueKey(job.spec.queue.prefix, job.spec.queue.name)


def policy_of(job: QueueJob) -> ScalingPolicy:
    """The scaling policy that a QueueJob's spec asks for."""
    scaling = job.spec.scaling
    return ScalingPolicy(
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        items_per_replica=job.spec.effective_items_per_replica,
        concurrency=job.spec.concurrency,
        cooldown=scaling.cooldown_seconds,
    )


def _scale(observed: Observed, current: int, now: float) -> ScalingDecision:
    if observed.snapshot is None or observed.redis_problem is not None:
        return ScalingDecision(current, f"{current} kept: the queue cannot be read", observed.scale_in)
    return decide_replicas(policy_of(observed.job), observed.snapshot, current, observed.scale_in, now)


def _replicas_to_write(observed: Observed, scaling: ScalingDecision, needs_apply: bool) -> int | None:
    live = observed.deployment
    if live is None or live.replicas != scaling.replicas:
        return scaling.replicas
    # Before the template is applied without replicas, somebody must own them, or they would fall to the
    # default of 1.
    return scaling.replicas if needs_apply and not live.scaling_owned else None


def _stranger(observed: Observed) -> str | None:
    live, job = observed.deployment, observed.job
    if live is None or live.owner_uid == job.metadata.uid:
        return None
    where = f"{job.metadata.namespace}/{job.metadata.name}"
    if live.owner_uid is None:
        return (
            f"A Deployment {where} exists and was not made by Bullherd. "
            f"Rename this QueueJob, or delete that Deployment."
        )
    return (
        f"The Deployment {where} belongs to another owner (uid {live.owner_uid}), perhaps a QueueJob of the "
        f"same name that was just deleted. Bullherd goes on as soon as that Deployment is gone."
    )


def _ready(observed: Observed, refused: bool, now: float) -> Finding:
    if refused:
        return _not_ready(
            "TemplateRejected",
            f"The API server refused the workers' Deployment: {observed.rejection}. Mend what it names: "
            f"spec.template, or else a quota, an admission webhook or the operator's own rights. Bullherd "
            f"tries again every 30 s.",
        )
    if observed.failure is not None:
        return _not_ready(observed.failure.reason, observed.failure.message)
    if observed.snapshot is None or observed.redis_problem is not None:
        problem = observed.redis_problem
        if problem is None:
            return Finding(READY, ConditionStatus.UNKNOWN, "Starting", "The queue has not been read yet.")
        return _not_ready("QueueUnreadable", f"{problem} The replicas are held until it can be read.")
    if (trouble := _trouble_of_pods(observed, now)) is not None:
        return _not_ready(PODS_NOT_STARTING, trouble)
    return Finding(READY, ConditionStatus.TRUE, "Scaling", "The queue is read and its workers are scaled.")


def _not_ready(reason: str, message: str) -> Finding:
    return Finding(READY, ConditionStatus.FALSE, reason, message)


def _trouble_of_pods(observed: Observed, now: float) -> str | None:
    live = observed.deployment
    if live is None or observed.pods is None:
        return live.problem if live else None
    waited = 0.0 if live.unavailable_since is None else now - live.unavailable_since
    return why_none_works(observed.pods, waited, live.problem, now)


def _redis_reachable(observed: Observed) -> Finding:
    if observed.redis_problem is not None:
        return Finding(REDIS_REACHABLE, ConditionStatus.FALSE, "ReadFailed", observed.redis_problem)
    if observed.snapshot is None:
        return Finding(
            REDIS_REACHABLE, ConditionStatus.UNKNOWN, "Starting", "The queue has not been read yet."
        )
    return Finding(REDIS_REACHABLE, ConditionStatus.TRUE, "Read", "The queue is read every second.")


def _hold(observed: Observed, reason: str, message: str, requeue_after: float | None = None) -> Plan:
    current = observed.workers.replicas if observed.workers else 0
    return Plan(
        findings=(
            _not_ready(reason, message),
            Finding(
                REDIS_REACHABLE,
                ConditionStatus.UNKNOWN,
                reason,
                "Not read while the QueueJob is not accepted.",
            ),
        ),
        reason=f"{current} kept: {message}",
        desired_replicas=current,
        scale_in=observed.scale_in,
        requeue_after=requeue_after,
    )


def _yield_queue(observed: Observed, rival: QueueClaim) -> Plan:
    message = (
        f"The queue {observed.job.spec.queue.prefix}:{observed.job.spec.queue.name} is already served by "
        f"the older QueueJob {rival.namespace}/{rival.name}. Delete one of the two, or name another queue."
    )
    held = _hold(observed, "QueueTaken", message)
    return Plan(
        findings=held.findings,
        reason=f"0: {message}",
        replicas=0 if observed.workers and observed.workers.replicas else None,
    )
