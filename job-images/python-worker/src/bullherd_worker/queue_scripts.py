"""BullMQ's scripts for one queue, with typed arguments and answers.

Each call is one command on the link; what comes back is in answers.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]
from redis.asyncio.connection import Connection
from redis.exceptions import NoScriptError

from bullherd_worker.answers import Fetched, checked, fetched
from bullherd_worker.item import Item
from bullherd_worker.keys import Keys
from bullherd_worker.link import Argument, Link
from bullherd_worker.lua import load_scripts

# Redis' Lua library reads plain strings only, not MessagePack's own type for bytes.
_pack = partial(msgpack.packb, use_bin_type=False)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class QueueScripts:
    """The scripts that a worker of one queue needs."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        *,
        lock_duration: int,
        worker_name: str,
        limiter: dict[str, int] | None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._lock_duration = lock_duration
        self._scripts = load_scripts()
        claim: dict[str, Any] = {"lockDuration": lock_duration, "name": worker_name}
        if limiter is not None:
            claim["limiter"] = limiter
        self._claim = claim
        k = keys
        self._fetch_keys = (
            k.wait,
            k.active,
            k.prioritized,
            k.events,
            k.stalled,
            k.limiter,
            k.delayed,
            k.paused,
            k.meta,
            k.priority_counter,
        )

    async def fetch(self, token: str) -> Fetched:
        """Claim the next item, if there is one that may run now."""
        opts = _pack({**self._claim, "token": token})
        keys = (*self._fetch_keys, self._keys.marker)
        return fetched(await self._run("moveToActive", keys, self._keys.base, now_ms(), opts), looked=True)

    async def complete(self, item: Item, token: str, result: bytes, *, fetch_next: bool) -> Fetched:
        """Report success and claim the next item in the same step."""
        opts = {"keepJobs": item.options.keep_completed, **item.options.parent_flags}
        return await self._finish(item, token, b"completed", b"returnvalue", result, opts, b"", fetch_next)

    async def fail(
        self, item: Item, token: str, reason: str, stacktrace: bytes, *, fetch_next: bool
    ) -> Fetched:
        """Report failure for good and claim the next item in the same step."""
        opts = {"keepJobs": item.options.keep_failed, **item.options.parent_flags}
        text = reason.encode(errors="replace")
        fields = _pack([b"failedReason", text, b"stacktrace", stacktrace])
        return await self._finish(item, token, b"failed", b"failedReason", text, opts, fields, fetch_next)

    async def retry_now(self, item: Item, token: str, reason: str, stacktrace: bytes) -> None:
        """Report a failed attempt; the item goes back to the waiting ones."""
        k = self._keys
        fields = _pack([b"failedReason", reason.encode(errors="replace"), b"stacktrace", stacktrace])
        keys = (
            k.active,
            k.wait,
            k.paused,
            k.item(item.raw_id),
            k.meta,
            k.events,
            k.delayed,
            k.prioritized,
            k.priority_counter,
            k.marker,
            k.stalled,
        )
        push = "RPUSH" if item.options.lifo else "LPUSH"
        checked(await self._run("retryJob", keys, k.base, now_ms(), push, item.raw_id, token, fields))

    async def retry_later(
        self, item: Item, token: str, delay_ms: int, reason: str, stacktrace: bytes, *, fetch_next: bool
    ) -> Fetched:
        """Report a failed attempt; the item waits for ``delay_ms``. Claims the next item in the same step."""
        k = self._keys
        fields = _pack([b"failedReason", reason.encode(errors="replace"), b"stacktrace", stacktrace])
        keys = (
            k.marker,
            k.active,
            k.prioritized,
            k.delayed,
            k.item(item.raw_id),
            k.events,
            k.meta,
            k.stalled,
            k.wait,
            k.limiter,
            k.priority_counter,
        )
        opts = _pack({**self._claim, "token": token})
        answer = await self._run(
            "moveToDelayed",
            keys,
            k.base,
            now_ms(),
            item.raw_id,
            token,
            delay_ms,
            "0",
            fields,
            "1" if fetch_next else "0",
            opts,
        )
        # Without an item its answer is 0: neither limit nor due time.
        return fetched(checked(answer), looked=False)

    async def give_back(self, raw_id: bytes, token: str) -> None:
        """Put an unfinished item back, ahead of the others, with no attempt counted."""
        keys, arguments = self._give_back(raw_id, token)
        checked(await self._run("moveJobFromActiveToWait", keys, *arguments))

    async def extend_locks(self, held: Sequence[tuple[bytes, str]]) -> list[bytes]:
        """Renew the locks of these items; returns the ids of those that are not ours any more."""
        tokens = _pack([token for _, token in held])
        ids = _pack([raw_id for raw_id, _ in held])
        lost: list[bytes] = await self._run(
            "extendLocks", (self._keys.stalled,), self._keys.base, tokens, ids, self._lock_duration
        )
        return lost

    async def recover_stalled(self, max_stalled: int, interval_ms: int) -> list[bytes]:
        """The queue's stalled check; once per interval in the whole fleet. Returns the ids that went back."""
        k = self._keys
        keys = (k.stalled, k.wait, k.active, k.stalled_check, k.meta, k.paused, k.marker, k.events, k.repeat)
        recovered: list[bytes] = await self._run(
            "moveStalledJobsToWait", keys, max_stalled, k.base, now_ms(), interval_ms
        )
        return recovered

    async def progress(self, item_id: bytes, value: bytes) -> None:
        """Set an item's progress (JSON)."""
        k = self._keys
        await self._run("updateProgress", (k.item(item_id), k.events, k.meta), item_id, value)

    async def log(self, item_id: bytes, line: str, keep: int | None) -> None:
        """Add a line to an item's log."""
        k = self._keys
        text = line.encode(errors="replace")
        await self._run("addLog", (k.item(item_id), k.logs(item_id)), item_id, text, keep or "")

    async def advance_scheduler(
        self, item: Item, scheduler_id: bytes, next_ms: int, options: dict[str, Any]
    ) -> None:
        """Let the job scheduler that made ``item`` make its next one; does nothing when that is done."""
        k = self._keys
        await self._keep_scheduler_data(item, scheduler_id)
        keys = (
            k.repeat,
            k.delayed,
            k.wait,
            k.paused,
            k.meta,
            k.prioritized,
            k.marker,
            k.counter,
            k.events,
            k.priority_counter,
            k.item(item.raw_id),
            k.active,
        )
        packed = _pack(options)
        await self._run(
            "updateJobScheduler",
            keys,
            next_ms,
            scheduler_id,
            item.data,
            packed,
            now_ms(),
            k.base,
            item.raw_id,
        )

    async def nudge(self) -> None:
        """Wake another worker: a marker may have been taken by a connection that is closing."""
        await self._link.call("ZADD", self._keys.marker, 0, "0")

    async def prepare(self, connection: Connection, token_prefix: str, running: set[bytes]) -> list[bytes]:
        """Make a fresh connection ready: load the scripts, and give back what lost replies had claimed for
        us.

        A fetch whose reply was lost with the old connection may have claimed an item: it is active under one
        of our tokens, and nobody runs it. Without this it would come back only when its lock has run out, and
        count as stalled.
        """
        for script in self._scripts.values():
            await connection.send_command("SCRIPT", "LOAD", script.text)
        for _ in self._scripts:
            await connection.read_response()
        await connection.send_command("LRANGE", self._keys.active, 0, -1)
        idle = [raw_id for raw_id in await connection.read_response() if raw_id not in running]
        if not idle:
            return []
        await connection.send_command("MGET", *(self._keys.lock(raw_id) for raw_id in idle))
        tokens: list[bytes | None] = await connection.read_response()
        given_back = []
        for raw_id, token in zip(idle, tokens, strict=True):
            if token is not None and token.startswith(token_prefix.encode()):
                keys, arguments = self._give_back(raw_id, token.decode())
                await connection.send_command(*self._command("moveJobFromActiveToWait", keys, arguments))
                await connection.read_response()
                given_back.append(raw_id)
        return given_back

    async def _keep_scheduler_data(self, item: Item, scheduler_id: bytes) -> None:
        """BullMQ 5's ``repeat`` option leaves no data in the scheduler's hash, and its worker adds them on
        the first run.

        The script of BullMQ 6 dropped that step: without it the second run of such an item would have empty
        data.
        """
        if item.data == b"{}":
            return
        hash_key = self._keys.scheduler(scheduler_id)
        count, data = await self._link.call("HMGET", hash_key, "ic", "data")
        if count is None and data is None and await self._link.call("EXISTS", hash_key):
            await self._link.call("HSETNX", hash_key, "data", item.data)

    async def _finish(
        self,
        item: Item,
        token: str,
        target: bytes,
        field: bytes,
        value: bytes,
        opts: dict[str, Any],
        fields: bytes,
        fetch_next: bool,
    ) -> Fetched:
        k = self._keys
        finished = k.completed if target == b"completed" else k.failed
        metrics = k.metrics_completed if target == b"completed" else k.metrics_failed
        keys = (*self._fetch_keys, finished, k.item(item.raw_id), metrics, k.marker)
        packed = _pack(
            {**self._claim, **opts, "token": token, "attempts": item.options.attempts, "maxMetricsSize": ""}
        )
        answer = await self._run(
            "moveToFinished",
            keys,
            item.raw_id,
            now_ms(),
            field,
            value,
            target,
            "1" if fetch_next else "",
            k.base,
            packed,
            fields,
        )
        return fetched(checked(answer), looked=fetch_next)

    def _give_back(self, raw_id: bytes, token: str) -> tuple[tuple[bytes, ...], tuple[Argument, ...]]:
        k = self._keys
        keys = (k.active, k.wait, k.stalled, k.paused, k.meta, k.limiter, k.prioritized, k.marker, k.events)
        return keys, (raw_id, token, k.item(raw_id))

    def _command(
        self, name: str, keys: tuple[bytes, ...], arguments: tuple[Argument, ...]
    ) -> tuple[Argument, ...]:
        script = self._scripts[name]
        return ("EVALSHA", script.sha, script.keys, *keys, *arguments)

    async def _run(self, name: str, keys: tuple[bytes, ...], *arguments: Argument) -> Any:
        try:
            return await self._link.call(*self._command(name, keys, arguments))
        except NoScriptError:
            # Somebody ran SCRIPT FLUSH: EVAL takes the text, and Redis keeps it.
            script = self._scripts[name]
            return await self._link.call("EVAL", script.text, script.keys, *keys, *arguments)
