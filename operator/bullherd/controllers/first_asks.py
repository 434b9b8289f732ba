"""What all QueueJobs hold when an operator begins to lead: what budgets must know before they give anything.

The one that led before may have granted all there is. So what exists is listed first, and counts as asked for
until each QueueJob's first reconcile says what it wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bullherd.api import QueueJob
from bullherd.controllers.registry import JobKey, Registry, key_of
from bullherd.core.budget import Ask
from bullherd.core.manifests import MANAGED_BY, MANAGED_BY_LABEL
from bullherd.kube.autoscalers import AUTOSCALERS, autoscaler_state
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS, deployment_state

log = structlog.get_logger(__name__)

_OURS = {MANAGED_BY_LABEL: MANAGED_BY}
_RETRY = 2.0


async def first_asks(kubernetes: Kubernetes, registry: Registry, namespaces: Sequence[str]) -> list[Ask]:
    """One for each QueueJob that has replicas; waits for as long as the API server does not say."""
    while True:
        try:
            held = await _held(kubernetes, namespaces)
            break
        except KubernetesError as error:
            log.warning("replicas_not_listed", reason=error.message)
            await asyncio.sleep(_RETRY)
    asks = []
    for key, replicas in held.items():
        known = registry.job(key)
        if known is not None and isinstance(known.job, QueueJob) and replicas:
            priority = known.job.spec.priority
            asks.append(Ask(key, priority, known.created, wanted=replicas, current=replicas, busy=replicas))
    return asks


async def _held(kubernetes: Kubernetes, namespaces: Sequence[str]) -> dict[JobKey, int]:
    """Replicas that there are, or that an HPA may make of them without asking."""
    held: dict[JobKey, int] = {}
    for namespace in namespaces or (None,):
        for body in (await kubernetes.list(DEPLOYMENTS, namespace, _OURS))["items"]:
            held[key_of(body)] = deployment_state(body).replicas
        for body in (await kubernetes.list(AUTOSCALERS, namespace, _OURS))["items"]:
            key = key_of(body)
            if held.get(key):
                held[key] = max(held[key], autoscaler_state(body).most)
    return held
