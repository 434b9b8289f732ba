"""When to look at worker pods that do not come, so that a cluster full of them costs few requests."""

from __future__ import annotations

import structlog

from bullherd.controllers.registry import JobKey
from bullherd.core.observed import DeploymentState
from bullherd.core.pods import PodState, look_at_pods_in
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.pods import list_worker_pods

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 10.0
"""Seconds between two looks at the same pods."""


class PodLooks:
    """Remembers the last look at each QueueJob's pods, and since when they are fewer than are wanted."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._looks: dict[JobKey, tuple[float, tuple[PodState, ...] | None]] = {}
        self._short_since: dict[JobKey, float] = {}

    async def look(self, key: JobKey, due: float | None, now: float) -> tuple[PodState, ...] | None:
        """The pods as they were a few seconds ago at most; None without a reason to look, or a way."""
        if due is None:
            self._looks.pop(key, None)
        elif due <= 0:
            self._looks[key] = now, await self._list(key)
        return self._looks[key][1] if key in self._looks else None

    def due(self, key: JobKey, workers: DeploymentState | None, in_trouble: bool, now: float) -> float | None:
        """Seconds until the next look; None when none is needed."""
        if workers is None or workers.replicas == 0:
            self._short_since.pop(key, None)
            return None
        first = look_at_pods_in(self._since(key, workers, now), in_trouble, now)
        if first is None or key not in self._looks:
            return first
        return max(first, self._looks[key][0] + _LOOK_AGAIN - now, 0.0)

    def forget(self, key: JobKey) -> None:
        """The QueueJob is gone."""
        self._looks.pop(key, None)
        self._short_since.pop(key, None)

    def _since(self, key: JobKey, workers: DeploymentState, now: float) -> float | None:
        """A Deployment says since when none of its pods is ready, and not since when some are not."""
        if workers.ready_replicas >= workers.replicas:
            self._short_since.pop(key, None)
            return None
        seen = self._short_since.setdefault(key, now)
        return seen if workers.unavailable_since is None else min(seen, workers.unavailable_since)

    async def _list(self, key: JobKey) -> tuple[PodState, ...] | None:
        try:
            return await list_worker_pods(self._kubernetes, *key)
        except KubernetesError as error:
            # Only the explanation is missing then; scaling goes on.
            log.warning("pods_not_listed", namespace=key[0], queuejob=key[1], reason=error.message)
            return None
