"""Which worker holds how many of a queue's active items: one round trip, changing nothing.

BullMQ writes the name of the worker that takes an item to the item's ``pb`` (processedBy), in the same step
as it moves the item to ``active``. Workers under Bullherd have their pod's name as ``WORKER_NAME``: the
Python worker uses it by itself, a Node worker with the option ``name``. A Node worker without that option,
and every worker of the Python package ``bullmq``, writes none. Nothing else leads from an item to a pod: the
lock's value begins with a random id of the worker, which is written nowhere else, and CLIENT LIST shows only
the queue's name and an address, which is that of a proxy as often as a pod's.

Locks are not looked at, so an item whose lock has run out still counts as held. Its worker may be dead; but
it may as well be alive and busy, after a Redis that was away or an event loop that was blocked. The stalled
check knows only the difference that matters, and takes such an item out of ``active`` a minute later.
"""

from __future__ import annotations

from importlib import resources

from redis.asyncio import Redis

from bullherd.bullmq.scripts import QueueScript, QueueUnreadable, ScriptCall
from bullherd.core.busy import QueueHolders
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey


class HolderReader:
    """Reads queues of one Redis database, with a client that others use too and somebody else closes."""

    def __init__(self, endpoint: RedisEndpoint, redis: Redis) -> None:
        source = resources.files("bullherd.bullmq").joinpath("holders.lua").read_text()
        self._script = QueueScript(endpoint, redis, source, read_only=True)

    async def holders(self, queue: QueueKey) -> QueueHolders | QueueUnreadable:
        """Who holds the queue's active items at this moment. Raises ``RedisUnavailable``."""
        (reply,) = await self._script.run([ScriptCall(queue, (queue.key_prefix,), ())])
        if isinstance(reply, QueueUnreadable):
            return reply
        unknown, *named = reply
        return QueueHolders(dict(zip(named[::2], named[1::2], strict=True)), unknown)
