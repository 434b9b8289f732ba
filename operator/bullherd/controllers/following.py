"""Having the queue of a QueueJob read, wherever its Redis is: what every process does with every QueueJob."""

from __future__ import annotations

from bullherd.api import QueueJob
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.registry import JobKey
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.reconcile import queue_of

RETRY_UNREADABLE = 15.0
"""Seconds after which a QueueJob without a usable connection is looked at again: no watch tells of a new
password.
"""


class QueueFollower:
    """Knows the connections, and the watch that reads."""

    def __init__(self, connections: Connections, demand: DemandWatch) -> None:
        self._connections = connections
        self._demand = demand

    async def connect(self, key: JobKey, job: QueueJob) -> Connection | ConnectionProblem:
        """Its connection. The Secrets are read anew if its queue could not be read."""
        if self._demand.reading(key).problem is not None:
            self._connections.distrust(job)
        return await self._connections.resolve(job)

    def follow(self, key: JobKey, job: QueueJob, connection: Connection | ConnectionProblem | None) -> None:
        """Have its queue read through this connection; without one, no more."""
        if isinstance(connection, Connection):
            self._demand.follow(key, connection.endpoint, queue_of(job))
        else:
            self._demand.forget(key)
