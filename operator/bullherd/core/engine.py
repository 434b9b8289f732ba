"""Who sets the replicas of a QueueJob now: its HPA, or the operator itself.

An HPA is asked for, and often cannot work: only one APIService in a cluster can serve external metrics, and
it may be another's or be away; the API server may refuse what the spec says about the HPA; a stranger may
have made one of that name. In all these cases the operator scales alone, by the same policy, and a condition
says why. While an HPA cannot read its metrics it changes nothing, so the two do not get in each other's way,
and it is left in place for the time when it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bullherd.api import ConditionStatus, Engine, QueueJob
from bullherd.core.autoscaler import AutoscalerState
from bullherd.core.conditions import Finding

AUTOSCALER_ACTIVE = "AutoscalerActive"


class MetricsOwner(Enum):
    """Who serves external metrics in this cluster."""

    OURS = "ours"
    UNAVAILABLE = "ours, and away"
    STRANGER = "somebody else"
    NOBODY = "nobody"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class ExternalMetrics:
    """The APIService for external metrics as it was last seen; ``told`` is a sentence about it."""

    owner: MetricsOwner
    told: str = ""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """``autoscaler``: whether there is to be an HPA; None: whatever there is, leave it alone."""

    engine: Engine
    autoscaler: bool | None
    finding: Finding | None = None


def choose_engine(
    job: QueueJob, metrics: ExternalMetrics, live: AutoscalerState | None, refusal: str | None
) -> EngineChoice:
    """``refusal``: what the API server said about the HPA that the spec asks for, if it refused it."""
    if job.spec.scaling.engine is Engine.DIRECT:
        return EngineChoice(Engine.DIRECT, autoscaler=False if _is_ours(job, live) else None)
    if live is not None and not _may_be_taken(job, live):
        where = f"{job.metadata.namespace}/{job.metadata.name}"
        return _direct(
            None,
            "AutoscalerNotOurs",
            f"A HorizontalPodAutoscaler {where} exists and is another's, for {live.target or 'nothing'}. "
            f"Delete it, rename this QueueJob, or set spec.scaling.engine to Direct.",
        )
    match metrics.owner:
        case MetricsOwner.STRANGER:
            return _direct(False if _is_ours(job, live) else None, "ExternalMetricsNotOurs", metrics.told)
        case MetricsOwner.NOBODY:
            return _direct(False if _is_ours(job, live) else None, "ExternalMetricsMissing", metrics.told)
        case MetricsOwner.UNAVAILABLE:
            return _direct(True, "MetricsUnavailable", metrics.told)
        case MetricsOwner.UNKNOWN:
            engine = Engine.HPA if _is_ours(job, live) else Engine.DIRECT
            finding = Finding(AUTOSCALER_ACTIVE, ConditionStatus.UNKNOWN, "Starting", metrics.told)
            return EngineChoice(engine, None, finding)
    if refusal is not None:
        return _refused(job, live, refusal)
    if live is not None and live.trouble is not None:
        return _direct(True, "MetricsUnavailable", f"The HPA cannot scale: {live.trouble}")
    finding = Finding(AUTOSCALER_ACTIVE, ConditionStatus.TRUE, "Scaling", "The HPA scales from 1 upward.")
    return EngineChoice(Engine.HPA, True, finding)


def _is_ours(job: QueueJob, live: AutoscalerState | None) -> bool:
    return live is not None and live.owner_uid == job.metadata.uid


def _may_be_taken(job: QueueJob, live: AutoscalerState) -> bool:
    """Ours, or nobody's and made for our Deployment: what a user had before Bullherd came."""
    if live.owner_uid is None:
        return live.target == f"Deployment/{job.metadata.name}"
    return live.owner_uid == job.metadata.uid


def _refused(job: QueueJob, live: AutoscalerState | None, refusal: str) -> EngineChoice:
    message = (
        f"The API server refused the HPA: {refusal.rstrip('.')}. Mend spec.scaling.behavior or extraMetrics, "
        f"or else what this names. Bullherd tries again every 30 s."
    )
    finding = Finding(AUTOSCALER_ACTIVE, ConditionStatus.FALSE, "AutoscalerRejected", message)
    # One that was accepted before goes on with what it has.
    engine = Engine.HPA if _is_ours(job, live) else Engine.DIRECT
    return EngineChoice(engine, True, finding)


def _direct(autoscaler: bool | None, reason: str, message: str) -> EngineChoice:
    told = f"{message} Until then the operator scales by itself, as with the engine Direct."
    finding = Finding(AUTOSCALER_ACTIVE, ConditionStatus.FALSE, reason, told)
    return EngineChoice(Engine.DIRECT, autoscaler, finding)
