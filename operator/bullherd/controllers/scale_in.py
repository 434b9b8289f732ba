"""Before replicas go down: who is busy, and that written where the ReplicaSets look when they choose.

Look, mark, and only then ask for fewer replicas. A look that fails is no look: nobody is known to be idle, so
the replicas are to be held until the next one. Marks that fail raise, and hold them, too. Nothing is
remembered: each look lists the pods with the marks that they have, so only what differs is written, also
after a restart.

Between look and deletion some tens of milliseconds pass, in which an idle worker may take an item. Its pod
goes then all the same, and drains.
"""

from __future__ import annotations

import asyncio

import structlog

from bullherd.bullmq.connection import RedisUnavailable
from bullherd.bullmq.holders import HolderReader
from bullherd.bullmq.scripts import QueueUnreadable
from bullherd.controllers.registry import JobKey
from bullherd.core.busy import BusyPods, PodCost, busy_pods
from bullherd.core.snapshot import QueueKey
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.pod_costs import list_pods_to_choose_from, write_pod_cost

log = structlog.get_logger(__name__)

_WRITES_AT_ONCE = 10


class ScaleInLooks:
    """Looks at the pods of QueueJobs that are to have fewer, and marks them."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes

    async def look(self, key: JobKey, reader: HolderReader, queue: QueueKey) -> BusyPods | None:
        """Which pods are busy now; None when that cannot be known."""
        try:
            # The queue last, because it changes fastest. A pod that comes between the two is no risk: the
            # name of a worker that no pod has counts as unknown.
            pods = await list_pods_to_choose_from(self._kubernetes, *key)
            holders = await reader.holders(queue)
        except (KubernetesError, RedisUnavailable) as error:
            reason = str(error)
        else:
            if not isinstance(holders, QueueUnreadable):
                return busy_pods(pods, holders)
            reason = holders.reason
        log.warning("busy_pods_unknown", namespace=key[0], queuejob=key[1], reason=reason)
        return None

    async def mark(self, key: JobKey, busy: BusyPods) -> None:
        """Write the deletion costs that a look found missing. Raises ``KubernetesError``."""
        turns = asyncio.Semaphore(_WRITES_AT_ONCE)

        async def write(pod: PodCost) -> None:
            async with turns:
                await write_pod_cost(self._kubernetes, key[0], pod)

        results = await asyncio.gather(*map(write, busy.costs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
