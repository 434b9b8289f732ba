"""Works a queue with the official Python Worker, for bench/worker_throughput.py: ``QUEUE CONCURRENCY``."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from bullmq import Worker


async def main() -> None:
    """Until killed."""

    async def noop(item: Any, token: str) -> None:
        return None

    # Without a long socket_timeout redis-py 8 ends its blocking calls; see the regression tests.
    connection = {"host": "127.0.0.1", "port": int(os.environ["REDIS_PORT"]), "socket_timeout": 30}
    Worker(sys.argv[1], noop, {"connection": connection, "concurrency": int(sys.argv[2])})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
