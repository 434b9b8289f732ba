"""What waits in Redis, kept fresh for every managed queue.

One ``ServerWatch`` per Redis server. It reads its queues in one round trip, which is the truth: with every
tick those where something goes on, less often those that rest. While some have no replicas, it also listens
to their events streams: a hint makes it read those queues at once, so a wake does not wait for the tick; and
it reads a queue at the moment at which its next delayed item falls due. A third loop runs BullMQ's stalled
check, because at 0 replicas no worker does. A queue's owner is woken when what was read differs from before,
or when reading begins or ceases to work; an idle queue wakes nobody. Several QueueJobs may follow one queue:
it is read once, for as long as one of them does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bullherd.bullmq.holders import HolderReader
from bullherd.controllers.registry import JobKey
from bullherd.controllers.server_watch import Reading, ServerWatch, WatchIntervals
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.telemetry.health import Health
from bullherd.telemetry.watch_metrics import WatchMetrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Followed:
    endpoint: RedisEndpoint
    queue: QueueKey


class DemandWatch:
    """All servers, and which QueueJob follows which queue. Use as an async context manager."""

    def __init__(
        self,
        wake: Callable[[JobKey], None],
        intervals: WatchIntervals,
        health: Health,
        metrics: WatchMetrics,
    ) -> None:
        self._wake = wake
        self._intervals = intervals
        self._health = health
        self._metrics = metrics
        self._followed: dict[JobKey, _Followed] = {}
        self._owners: defaultdict[_Followed, set[JobKey]] = defaultdict(set)
        self._servers: dict[RedisEndpoint, ServerWatch] = {}
        self._tasks: dict[RedisEndpoint, asyncio.Task[None]] = {}

    async def __aenter__(self) -> DemandWatch:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, owner: JobKey, endpoint: RedisEndpoint, queue: QueueKey) -> None:
        """Keep this queue read for this QueueJob; a queue that it followed before is let go."""
        wanted = _Followed(endpoint, queue)
        if self._followed.get(owner) == wanted:
            return
        self.forget(owner)
        self._followed[owner] = wanted
        self._owners[wanted].add(owner)
        if endpoint not in self._servers:
            self._start(endpoint)
        self._servers[endpoint].add(queue)
        log.info(
            "queue_discovered",
            queue=queue.name,
            prefix=queue.prefix,
            redis=endpoint.address,
            queuejob="/".join(owner),
        )

    def forget(self, owner: JobKey) -> None:
        """Follow nothing for this QueueJob; a server without queues is no longer watched."""
        followed = self._followed.pop(owner, None)
        if followed is None:
            return
        owners = self._owners[followed]
        owners.discard(owner)
        if not owners:
            del self._owners[followed]
            server = self._servers[followed.endpoint]
            server.remove(followed.queue)
            if not server.queues:
                del self._servers[followed.endpoint]
                self._tasks.pop(followed.endpoint).cancel()

    def set_asleep(self, owner: JobKey, asleep: bool) -> None:
        """Say whether the queue has no replicas, so that hints are worth listening for."""
        followed = self._followed.get(owner)
        if followed is not None:
            self._servers[followed.endpoint].set_asleep(followed.queue, asleep)

    def reading(self, owner: JobKey) -> Reading:
        """The newest look at this QueueJob's queue; an empty one before the first."""
        followed = self._followed.get(owner)
        if followed is None:
            return Reading()
        return self._servers[followed.endpoint].reading(followed.queue)

    def holder_reader(self, owner: JobKey) -> HolderReader | None:
        """What tells who holds the active items of this QueueJob's queue; None while it follows none."""
        followed = self._followed.get(owner)
        return None if followed is None else self._servers[followed.endpoint].holders

    def _start(self, endpoint: RedisEndpoint) -> None:
        def changed(queue: QueueKey) -> None:
            for owner in self._owners.get(_Followed(endpoint, queue), ()):
                self._wake(owner)

        server = ServerWatch(endpoint, changed, self._intervals, self._health, self._metrics)
        self._servers[endpoint] = server
        task = asyncio.create_task(server.run(), name=f"watch of Redis {endpoint.address}")
        task.add_done_callback(lambda _: self._forget_metrics(endpoint.address))
        self._tasks[endpoint] = task

    def _forget_metrics(self, address: str) -> None:
        """After a watch's last read; another login may still read the same server."""
        if all(endpoint.address != address for endpoint in self._servers):
            self._metrics.forget_server(address)
