"""Bringing back the items of workers that died.

A worker renews a lock on each item that it holds. When it dies the item stays ``active``, its lock runs
out, and BullMQ's stalled check, which every worker runs now and then, puts it back. With no worker alive
nobody does, so the operator runs the same check: BullMQ's own script (shipped in the Python package), with
the same rules:

- A check marks all active items as suspects; a later one returns those suspects whose lock is gone. So an
item
  is back within the rest of its lock time and two intervals.
- The key ``stalled-check`` allows one check per interval, by whoever comes first, worker or operator. It
lives a
  little shorter than our interval, or it would also block our own next check.
- An item that stalled more often than ``max_stalled_count`` comes back with ``defa``: who takes it next must
  fail it, not run it, because it probably kills its worker. Items of job schedulers are exempt.

The returned item is next in turn. What happens in a paused queue is told in stalled.lua.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis

from bullherd.bullmq.scripts import QueueScript, QueueUnreadable, ScriptCall
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey

_KEYS = ("stalled", "wait", "active", "stalled-check", "meta", "paused", "marker", "events", "repeat")
_SHIPPED_SCRIPT = "moveStalledJobsToWait-9.lua"


class StalledRecovery:
    """Runs the stalled check on queues of one Redis database, with a client that others use too and somebody
    else closes.

    ``max_stalled_count`` is BullMQ's default, 1; ``interval`` is in seconds. Whoever runs a check applies
    its own maximum, so workers should have the same.
    """

    def __init__(
        self, endpoint: RedisEndpoint, redis: Redis, *, max_stalled_count: int = 1, interval: float = 30.0
    ) -> None:
        self.interval = interval
        self._max_stalled_count = max_stalled_count
        self._script = QueueScript(endpoint, redis, _source(), read_only=False)

    async def check(
        self, queues: Sequence[QueueKey], now: float
    ) -> Mapping[QueueKey, tuple[str, ...] | QueueUnreadable]:
        """Check every queue; the ids of the items that came back, often none.

        Call it every ``interval`` seconds; ``now`` is unix seconds. Errors are as in
        ``QueueReader.snapshots``.
        """
        if not queues:
            return {}
        check_key_ms = round(self.interval * 0.9 * 1000)
        replies = await self._script.run(
            [
                ScriptCall(
                    queue,
                    [queue.key_prefix + key for key in _KEYS],
                    [self._max_stalled_count, queue.key_prefix, int(now * 1000), check_key_ms],
                )
                for queue in queues
            ]
        )
        return {
            queue: reply if isinstance(reply, QueueUnreadable) else tuple(reply)
            for queue, reply in zip(queues, replies, strict=True)
        }


def _source() -> str:
    guard = resources.files("bullherd.bullmq").joinpath("stalled.lua").read_text()
    return f"{guard}\n{(_shipped_commands() / _SHIPPED_SCRIPT).read_text()}"


def _shipped_commands() -> Path:
    """The folder of BullMQ's scripts, found without importing ``bullmq`` and all that it brings."""
    spec = find_spec("bullmq")
    if spec is None or spec.origin is None:
        raise RuntimeError("The Python package bullmq, whose Lua scripts Bullherd runs, is not installed.")
    return Path(spec.origin).parent / "commands"
