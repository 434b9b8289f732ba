"""Everything that a reconcile has seen of one QueueJob, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bullherd.api import QueueJob
from bullherd.core.autoscaler import AutoscalerState
from bullherd.core.budget import Grant
from bullherd.core.claims import QueueClaim, ServedQueue
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.engine import ExternalMetrics, MetricsOwner
from bullherd.core.pods import PodState
from bullherd.core.scaling import ScaleIn
from bullherd.core.snapshot import QueueSnapshot


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """What matters of a live Deployment. ``scaling_owned``: somebody else than the manager of the template
    owns its replicas already.

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
    """A request about the QueueJob's objects that failed, and is tried again; ``reason`` is CamelCase for the
    condition.
    """

    reason: Literal["ScalingFailed", "ApplyFailed"]
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server said when it refused the manifest with this fingerprint."""

    fingerprint: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at everything that concerns a QueueJob.

    ``redis_problem``: why the last read of the queue failed; ``snapshot`` is then the last good one, or None.
    ``template_refusal``, ``autoscaler_refusal``: what the API server refused lately. ``failure``: what just
    went wrong otherwise. ``refresh``: apply the manifests though the objects seem to
    have them, in case somebody edited them. ``pods``: the workers', when there was reason to look at them.
    ``busy``: pods that hold items, when it was asked for. ``grant``: what the budgets allow, None without
    budgets. ``grown_at``: when replicas were last added, unix seconds.
    """

    job: QueueJob
    connection: Connection | ConnectionProblem
    rival: QueueClaim | None = None
    snapshot: QueueSnapshot | None = None
    redis_problem: str | None = None
    deployment: DeploymentState | None = None
    template_refusal: Refusal | None = None
    autoscaler_refusal: str | None = None
    failure: Failure | None = None
    refresh: bool = False
    pods: tuple[PodState, ...] | None = None
    scale_in: ScaleIn | None = None
    busy: int | None = None
    grown_at: float | None = None
    grant: Grant | None = None
    external_metrics: ExternalMetrics = field(default=ExternalMetrics(MetricsOwner.UNKNOWN))
    autoscaler: AutoscalerState | None = None

    @property
    def workers(self) -> DeploymentState | None:
        """The Deployment, if it is this QueueJob's own and not a stranger's of the same name."""
        live = self.deployment
        return live if live is not None and live.owner_uid == self.job.metadata.uid else None

    @property
    def replicas(self) -> int:
        """What the Deployment of that name asks for today; 0 when there is none."""
        return self.deployment.replicas if self.deployment else 0
