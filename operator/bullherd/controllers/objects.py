"""Carrying out a plan: the requests about a QueueJob's Deployment and HPA, in an order that is safe to end at
any point.

The HPA comes first: one that is not to be would undo what follows, and one whose bounds are of before a wake
would cut it back. Only for a Deployment that is not there yet it comes last. With the Deployment, replicas go
before the template, so that they always have an owner.

What the API server refuses is remembered for a while and told, not asked again at once: what refused it (a
quota, a webhook) may change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import structlog

from bullherd.controllers.registry import JobKey, Registry
from bullherd.core.manifests import fingerprint_of
from bullherd.core.observed import Observed, Refusal
from bullherd.core.reconcile import Plan, failure_of
from bullherd.kube.autoscalers import apply_autoscaler, delete_autoscaler
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.deployments import (
    apply_template,
    create_deployment,
    read_deployment,
    scale_deployment,
)

log = structlog.get_logger(__name__)

REFRESH = 300.0
"""Seconds after which manifests are applied again though nothing seems to have changed: it heals what others
edited.
"""

RETRY_REFUSED = 30.0
"""Seconds after which something refused is tried again."""


@dataclass(frozen=True, slots=True)
class _Applied:
    """The last template that this process applied for a QueueJob, or why it was refused."""

    at: float
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class _RefusedAutoscaler:
    """``generation``: of the QueueJob that asked for it."""

    at: float
    generation: int
    message: str


class WorkerObjects:
    """The Deployments and HPAs of all QueueJobs."""

    def __init__(self, kubernetes: Kubernetes, registry: Registry) -> None:
        self._kubernetes = kubernetes
        self._registry = registry
        self._applied: dict[JobKey, _Applied] = {}
        self._refused: dict[JobKey, _RefusedAutoscaler] = {}

    def forget(self, key: JobKey) -> None:
        """The QueueJob is gone."""
        self._applied.pop(key, None)
        self._refused.pop(key, None)

    def with_memories(self, key: JobKey, observed: Observed, now: float) -> Observed:
        """Add what was refused lately, and whether the manifests are to be applied again."""
        applied, refused = self._applied.get(key), self._refused.get(key)
        refusal = applied.refusal if applied and now - applied.at < RETRY_REFUSED else None
        lasts = REFRESH if applied is None or applied.refusal is None else RETRY_REFUSED
        generation = observed.job.metadata.generation
        still = refused and refused.generation == generation and now - refused.at < RETRY_REFUSED
        return replace(
            observed,
            template_refusal=refusal,
            autoscaler_refusal=refused.message if refused and still else None,
            refresh=applied is None or now - applied.at >= lasts,
        )

    async def apply(
        self, key: JobKey, observed: Observed, plan: Plan, now: float
    ) -> tuple[Observed, KubernetesError | None]:
        """Carry out the plan. What comes back has the objects as they then are, and what was refused; the
        error is of a request that failed otherwise, and is to be raised when that has been told.
        """
        if plan.remove_autoscaler and observed.autoscaler is not None:
            await delete_autoscaler(self._kubernetes, *key, observed.autoscaler.uid)
            self._registry.autoscalers.remove(key)
            observed = replace(observed, autoscaler=None)
        steps = [self._apply_autoscaler, self._apply_deployment]
        if observed.deployment is None:
            steps.reverse()
        error = None
        for step in steps:
            observed, error = await step(key, observed, plan, now)
            if error is not None:
                break
        return observed, error

    async def _apply_deployment(
        self, key: JobKey, observed: Observed, plan: Plan, now: float
    ) -> tuple[Observed, KubernetesError | None]:
        live, manifest = observed.deployment, plan.manifest
        put = self._registry.deployments.put
        doing: Literal["ScalingFailed", "ApplyFailed"] = "ApplyFailed"
        try:
            if manifest is not None and live is None:
                live = put(await create_deployment(self._kubernetes, manifest, plan.replicas or 0))
            else:
                if plan.replicas is not None:
                    doing = "ScalingFailed"
                    live = put(await scale_deployment(self._kubernetes, *key, plan.replicas))
                if manifest is not None:
                    doing = "ApplyFailed"
                    live = put(await apply_template(self._kubernetes, manifest))
        except KubernetesError as error:
            if await self._has_vanished(key, observed, error):
                self._registry.deployments.remove(key)
                raise
            if error.unanswered:
                # Nor would the API server take the news.
                raise
            observed = replace(observed, deployment=live)
            if not error.refused or manifest is None or doing == "ScalingFailed":
                what = f"scale the workers to {plan.replicas}"
                if doing == "ApplyFailed":
                    what = "apply the workers' Deployment"
                return replace(observed, failure=failure_of(doing, what, error.message)), error
            refusal = Refusal(fingerprint_of(manifest), error.message)
            self._applied[key] = _Applied(now, refusal)
            log.warning("template_rejected", namespace=key[0], queuejob=key[1], reason=error.message)
            return replace(observed, template_refusal=refusal), None
        if manifest is not None:
            self._applied[key] = _Applied(now)
        return replace(observed, deployment=live), None

    async def _apply_autoscaler(
        self, key: JobKey, observed: Observed, plan: Plan, now: float
    ) -> tuple[Observed, KubernetesError | None]:
        if plan.autoscaler is None or observed.deployment is None:
            return observed, None
        try:
            live = self._registry.autoscalers.put(await apply_autoscaler(self._kubernetes, plan.autoscaler))
        except KubernetesError as error:
            if error.unanswered:
                raise
            if not error.refused:
                failure = failure_of("ApplyFailed", "apply the workers' HPA", error.message)
                return replace(observed, failure=failure), error
            generation = observed.job.metadata.generation
            self._refused[key] = _RefusedAutoscaler(now, generation, error.message)
            log.warning("autoscaler_rejected", namespace=key[0], queuejob=key[1], reason=error.message)
            return replace(observed, autoscaler_refusal=error.message), None
        self._refused.pop(key, None)
        return replace(observed, autoscaler=live), None

    async def _has_vanished(self, key: JobKey, observed: Observed, error: KubernetesError) -> bool:
        """Whether a request failed because the Deployment is gone and its watch has not said so: replicas
        alone make no Deployment, so the API server calls them invalid.
        """
        if observed.deployment is None or not (error.missing or error.refused):
            return False
        return await read_deployment(self._kubernetes, *key) is None
