"""Looking at queues: one round trip for any number of them on a server.

BullMQ's own counts (``getJobCounts``) miss what an operator must see: items that bullmq 5 set aside in
``paused``, and delayed ones that are due while no worker is alive to move them. So snapshot.lua looks at a
queue in one go; it runs read-only (see scripts.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis

from bullherd.bullmq.scripts import QueueScript, QueueUnreadable, ScriptCall
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey, QueueSnapshot

__all__ = ["QueueReader", "QueueUnreadable"]

# What bullmq's rateLimit() writes to the limiter key to stop a queue by hand.
_STOPPED_BY_HAND = 2**53 - 1


class QueueReader:
    """Reads queues of one Redis database, with a client that others use too and somebody else closes. Any
    number of tasks may share it.
    """

    def __init__(self, endpoint: RedisEndpoint, redis: Redis) -> None:
        source = resources.files("bullherd.bullmq").joinpath("snapshot.lua").read_text()
        self._script = QueueScript(endpoint, redis, source, read_only=True)

    async def snapshots(
        self, queues: Sequence[QueueKey], now: float
    ) -> Mapping[QueueKey, QueueSnapshot | QueueUnreadable]:
        """Every queue as it is at ``now`` (unix seconds; decides which delayed items are due).

        A queue that does not exist is empty, and says so. One with a key of a wrong type, or that the ACL
        hides, is ``QueueUnreadable`` and does not spoil the others. Raises ``RedisUnavailable`` when none
        could be read.
        """
        if not queues:
            return {}
        now_ms = int(now * 1000)
        replies = await self._script.run(
            [ScriptCall(queue, (queue.key_prefix,), (now_ms,)) for queue in queues]
        )
        return {queue: _result(queue, reply, now) for queue, reply in zip(queues, replies, strict=True)}


def _result(queue: QueueKey, reply: Any, now: float) -> QueueSnapshot | QueueUnreadable:
    if isinstance(reply, QueueUnreadable):
        return reply
    try:
        return _parse(reply, now)
    except ValueError as problem:
        return QueueUnreadable(
            f"The settings of the queue {queue.prefix}:{queue.name} in Redis are not BullMQ's "
            f"({queue.key_prefix}meta): {problem}."
        )


def _parse(reply: Sequence[Any], now: float) -> QueueSnapshot:
    (
        exists,
        waiting,
        paused_list,
        prioritized,
        delayed,
        delayed_due,
        next_delayed_ms,
        active,
        waiting_children,
        completed,
        failed,
        oldest_ms,
        paused,
        concurrency,
        rate_max,
        rate_duration_ms,
        version,
        limiter_count,
        limiter_ttl_ms,
    ) = reply
    rate_limit_max = _number(rate_max)
    duration_ms = _number(rate_duration_ms)
    return QueueSnapshot(
        taken_at=now,
        exists=bool(exists),
        waiting=waiting,
        prioritized=prioritized,
        paused_list=paused_list,
        delayed=delayed,
        delayed_due=delayed_due,
        active=active,
        waiting_children=waiting_children,
        completed=completed,
        failed=failed,
        paused=paused is not None,
        next_delayed_at=_seconds(next_delayed_ms),
        oldest_item_at=_seconds(oldest_ms),
        global_concurrency=_number(concurrency),
        rate_limit_max=rate_limit_max,
        rate_limit_duration=_seconds(duration_ms),
        rate_limited_for=_limited_for(_number(limiter_count), limiter_ttl_ms, rate_limit_max),
        bullmq_version=version.rpartition(":")[2] if version else None,
    )


def _limited_for(count: int | None, ttl_ms: int, maximum: int | None) -> float:
    """BullMQ's getRateLimitTTL: the counter only stops workers once it has reached the maximum.

    A worker may bring a maximum of its own, which Redis does not hold; then only a stop by hand is certain.
    """
    limit = _STOPPED_BY_HAND if maximum is None else maximum
    return ttl_ms / 1000 if count is not None and count >= limit and ttl_ms > 0 else 0.0


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
