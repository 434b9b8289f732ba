"""Asking for metrics as somebody who may, and what is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.fixtures.kubernetes import Namespace
from tests.fixtures.process import WAIT_LIMIT_S
from tests.fixtures.server import Server, metric_path
from tests.server.front_proxy import account, let, token_of

BACKLOG = "bullherd_queue_backlog"
INTERVAL_S = 0.05


class Reader:
    """Somebody who may read the metrics of a namespace; asks with a token."""

    def __init__(self, namespace: str, token: str) -> None:
        self.namespace = namespace
        self.token = token

    @classmethod
    async def of(cls, namespace: Namespace) -> Reader:
        """Make them."""
        await let(namespace, account(namespace, "reader"))
        return cls(namespace.name, await token_of(namespace, "reader"))

    async def ask(
        self, server: Server, selector: str | None = None, metric: str = BACKLOG
    ) -> tuple[int, Any]:
        """Status and body of one answer."""
        return await server.ask(metric_path(self.namespace, metric, selector), token=self.token)

    async def values(
        self, server: Server, selector: str | None = None, metric: str = BACKLOG
    ) -> dict[str, str] | str:
        """The values by QueueJob, or the message of a refusal."""
        status, body = await self.ask(server, selector, metric)
        if status != 200:
            message: str = body["message"]
            return message
        return {item["metricLabels"]["queuejob"]: item["value"] for item in body["items"]}

    async def until(
        self,
        server: Server,
        holds: Callable[[dict[str, str] | str], bool],
        selector: str | None = None,
        metric: str = BACKLOG,
        limit: float = WAIT_LIMIT_S,
    ) -> None:
        """Ask until this holds of the answer."""
        until = time.monotonic() + limit
        while not holds(seen := await self.values(server, selector, metric)):
            assert time.monotonic() < until, f"waited {limit:g} s in vain, last {seen}"
            await asyncio.sleep(INTERVAL_S)

    async def until_values(self, server: Server, wanted: dict[str, int], **options: Any) -> None:
        """Ask until these are the values."""
        texts = {name: str(value) for name, value in wanted.items()}
        await self.until(server, lambda seen: seen == texts, **options)
