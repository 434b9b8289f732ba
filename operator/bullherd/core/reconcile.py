"""What to do about one QueueJob: everything that was observed goes in, a plan comes out.

Order of the questions: may this QueueJob have its queue at all (connection, namespace, rival)? Is its
Deployment ours and as wanted? Does a person hold the replicas? Is Redis read? Who scales, and to how many? A
no to the first leaves what runs alone, but for a queue that belongs to an older QueueJob: its workers would
be sized twice, so they go. A Redis that cannot be read holds the replicas.

With an HPA in charge, the plan has replicas only where an HPA cannot go: from and to 0. For the rest it
says between how many replicas the HPA may choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bullherd.api import ConditionStatus, Engine, QueueJob
from bullherd.core.autoscaler import autoscaler_manifest
from bullherd.core.claims import QueueClaim
from bullherd.core.conditions import Finding
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.deployment import worker_deployment
from bullherd.core.engine import EngineChoice, choose_engine
from bullherd.core.findings import (
    REDIS_REACHABLE,
    not_ready,
    queue_found,
    ready,
    redis_reachable,
    scaling_limited,
    why_pause_is_mixed,
)
from bullherd.core.floors import FloorNow, floor_at, floor_of
from bullherd.core.hold import HOLD_ANNOTATION, Hold, hold_of
from bullherd.core.manifests import Manifest, fingerprint_of
from bullherd.core.observed import Failure, Observed, Refusal
from bullherd.core.pods import UNSCHEDULABLE, homeless_pods
from bullherd.core.policy import policy_of
from bullherd.core.scaling import Ceiling, Circumstances, ScaleIn, ScalingDecision, decide_replicas
from bullherd.core.snapshot import QueueKey

_WATCH_SHRINK = 1.0
"""Seconds between two looks at busy pods while an HPA may remove some at any moment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the shell applies: the HPA's end, the Deployment, the HPA, then the status.

    ``manifest`` None: the Deployment is as wanted, or must be left alone. ``replicas`` None: leave them
    alone. With both, a new Deployment is made with its replicas; on an existing one the replicas go first, so
    that they always have an owner. ``busy_unknown``: look at the busy pods and decide again.
    """

    findings: tuple[Finding, ...]
    reason: str
    engine: Engine | None = None
    manifest: Manifest | None = None
    replicas: int | None = None
    autoscaler: Manifest | None = None
    remove_autoscaler: bool = False
    demand: int = 0
    desired_replicas: int = 0
    scale_in: ScaleIn | None = None
    requeue_after: float | None = None
    busy_unknown: bool = False


def decide(observed: Observed, priority_class_prefix: str, now: float) -> Plan:
    """The plan for one QueueJob. ``now`` is unix seconds."""
    if isinstance(observed.connection, ConnectionProblem):
        # No watch tells that a Secret was made or mended.
        return _hold(observed, observed.connection.reason, observed.connection.message, requeue_after=15.0)
    if observed.rival is not None:
        return _yield_queue(observed, observed.rival)
    if (stranger := _stranger(observed)) is not None:
        return _hold(observed, "DeploymentNotOurs", stranger, requeue_after=5.0)

    hold = hold_of(observed.job, now)
    floor = floor_at(map(floor_of, observed.job.spec.scaling.floors), now)
    choice = choose_engine(
        observed.job, observed.external_metrics, observed.autoscaler, observed.autoscaler_refusal
    )
    scaling = _scale(observed, hold, floor, now)
    manifest = worker_deployment(observed.job, observed.connection, priority_class_prefix)
    template_refusal = _refusal_of(manifest, observed.template_refusal)
    applied = observed.deployment.fingerprint if observed.deployment else None
    needs_apply = (applied != fingerprint_of(manifest) or observed.refresh) and template_refusal is None
    missing = observed.deployment is None and template_refusal is not None
    has_autoscaler = choice.autoscaler is True and hold is None and not missing
    ours = observed.autoscaler is not None and observed.autoscaler.owner_uid == observed.job.metadata.uid
    return Plan(
        findings=_findings(observed, observed.connection, choice, template_refusal, scaling, hold, now),
        reason=scaling.reason,
        engine=choice.engine,
        manifest=manifest if needs_apply else None,
        replicas=None if missing else _replicas_to_write(observed, choice, scaling, needs_apply),
        autoscaler=_autoscaler(observed, scaling, floor) if has_autoscaler else None,
        remove_autoscaler=ours and (choice.autoscaler is False or hold is not None),
        demand=scaling.demand,
        desired_replicas=scaling.replicas,
        scale_in=scaling.scale_in,
        requeue_after=_requeue_after(observed, choice, scaling, floor, now),
        busy_unknown=scaling.busy_unknown,
    )


def failure_of(doing: Literal["ScalingFailed", "ApplyFailed"], what: str, said: str) -> Failure:
    """What to tell of a request that failed while a plan was carried out; ``said`` by the API server."""
    return Failure(
        doing,
        f"Bullherd could not {what}: {said.rstrip('.')}. It tries again; if that does not help, mend what "
        f"this names: the operator's own rights, an admission webhook, a quota, or the cluster.",
    )


def queue_of(job: QueueJob) -> QueueKey:
    """The queue that a QueueJob names."""
    return QueueKey(job.spec.queue.prefix, job.spec.queue.name)


def _scale(observed: Observed, hold: Hold | None, floor: FloorNow, now: float) -> ScalingDecision:
    current = observed.replicas
    if hold is not None:
        until = f"until {hold.written}" if hold.left is not None else "until the annotation is mended"
        reason = f"{current} held by hand {until} ({HOLD_ANNOTATION})"
        return ScalingDecision(current, reason, scale_in=observed.scale_in, requeue_after=hold.left)
    if observed.snapshot is None or observed.redis_problem is not None:
        reason = f"{current} kept: the queue cannot be read"
        return ScalingDecision(current, reason, scale_in=observed.scale_in)
    if why_pause_is_mixed(observed.snapshot) is not None:
        reason = f"{current} kept: the queue was paused by BullMQ 5 and 6"
        return ScalingDecision(current, reason, scale_in=observed.scale_in)
    around = Circumstances(
        scale_in=observed.scale_in,
        busy=observed.busy,
        floor=floor,
        ceilings=_ceilings(observed),
        grown_at=observed.grown_at,
    )
    return decide_replicas(policy_of(observed.job), observed.snapshot, current, around, now)


def _ceilings(observed: Observed) -> tuple[Ceiling, ...]:
    grant = observed.grant
    budget = Ceiling(grant.now, "BudgetExhausted", grant.waits_for or "") if grant is not None else None
    return tuple(ceiling for ceiling in (budget, _no_room(observed)) if ceiling is not None)


def _no_room(observed: Observed) -> Ceiling | None:
    """More pods would find no node either. One that a cluster autoscaler makes ends this."""
    pods = observed.pods or ()
    homeless = homeless_pods(pods)
    if not homeless:
        return None
    told = next((pod.message for pod in homeless if pod.message), "").rstrip(".")
    message = (
        f"{len(homeless)} of {len(pods)} worker pods find no node, so no more are asked for until they "
        f"do{told and ': '}{told}."
    )
    return Ceiling(observed.replicas, UNSCHEDULABLE, message)


def _replicas_to_write(
    observed: Observed, choice: EngineChoice, scaling: ScalingDecision, needs_apply: bool
) -> int | None:
    live = observed.deployment
    if live is None:
        return scaling.replicas
    if live.replicas != scaling.replicas:
        crosses_zero = live.replicas == 0 or scaling.replicas == 0
        return scaling.replicas if choice.engine is Engine.DIRECT or crosses_zero else None
    # Before the template is applied without replicas, somebody must own them, or they would fall to the
    # default of 1.
    return scaling.replicas if needs_apply and not live.scaling_owned else None


def _autoscaler(observed: Observed, scaling: ScalingDecision, floor: FloorNow) -> Manifest | None:
    """The HPA to apply, if it is not so already."""
    unread = observed.snapshot is None or observed.redis_problem is not None
    live = observed.autoscaler
    # One that exists is left as it is while nobody knows better.
    if observed.autoscaler_refusal is not None or (unread and live is not None):
        return None
    manifest = autoscaler_manifest(observed.job, *_bounds(observed, scaling, floor))
    as_wanted = live is not None and live.fingerprint == fingerprint_of(manifest)
    return None if as_wanted and not observed.refresh else manifest


def _bounds(observed: Observed, scaling: ScalingDecision, floor: FloorNow) -> tuple[int, int]:
    """Between how many replicas the HPA may choose. It never raises them by its lower bound: growth goes by
    its metrics, at the speed that ``behavior`` allows.
    """
    policy = policy_of(observed.job)
    least = max(1, policy.min_replicas, min(floor.min_replicas, policy.max_replicas))
    if min(scaling.demand, scaling.replicas) < observed.replicas:
        least = max(least, min(scaling.replicas, observed.replicas))
    most = min([policy.max_replicas, *(ceiling.replicas for ceiling in _ceilings(observed))])
    return least, max(least, most)


def _requeue_after(
    observed: Observed, choice: EngineChoice, scaling: ScalingDecision, floor: FloorNow, now: float
) -> float | None:
    waits = [scaling.requeue_after, None if floor.until is None else max(0.0, floor.until - now)]
    if choice.engine is Engine.HPA and scaling.replicas < observed.replicas:
        waits.append(_WATCH_SHRINK)
    return min((wait for wait in waits if wait is not None), default=None)


def _findings(
    observed: Observed,
    connection: Connection,
    choice: EngineChoice,
    refusal: str | None,
    scaling: ScalingDecision,
    hold: Hold | None,
    now: float,
) -> tuple[Finding, ...]:
    first = ready(observed, refusal, now)
    if hold is not None and hold.left is None:
        first = not_ready(
            "HoldUnreadable",
            f"The annotation {HOLD_ANNOTATION} is {hold.written!r}, which is no time like "
            f"2026-01-31T18:00:00Z. The replicas are held until it is mended or removed.",
        )
    findings = [
        first,
        redis_reachable(observed),
        queue_found(observed, connection.endpoint.address),
        scaling_limited(scaling.limit or _no_room(observed)),
    ]
    return (*findings, choice.finding) if choice.finding is not None else tuple(findings)


def _refusal_of(manifest: Manifest, refusal: Refusal | None) -> str | None:
    if refusal is None or refusal.fingerprint != fingerprint_of(manifest):
        return None
    return refusal.message


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


def _hold(observed: Observed, reason: str, message: str, requeue_after: float | None = None) -> Plan:
    current = observed.workers.replicas if observed.workers else 0
    unread = "Not read while the QueueJob is not accepted."
    return Plan(
        findings=(
            not_ready(reason, message),
            Finding(REDIS_REACHABLE, ConditionStatus.UNKNOWN, reason, unread),
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
