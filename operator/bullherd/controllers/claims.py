"""Who claims which queue, also while connections come and go.

A QueueJob keeps its last claim while its connection has a problem, for its pods go on working: a younger one
that took the queue meanwhile would start a second full set beside them, and lose it at once when the first
one heals. It gives the claim up for another one, or when it is deleted.

A new leader knows no last claims. Where a connection cannot be resolved at the start, the annotations of the
Deployment tell which queue its pods work; a QueueJob without a Deployment has no pods to protect.
"""

from __future__ import annotations

import asyncio

import structlog

from bullherd.api import QueueJob
from bullherd.controllers.connections import Connections
from bullherd.controllers.registry import JobKey, KnownQueueJob, Registry
from bullherd.core.claims import QueueClaim, ServedQueue
from bullherd.core.connection import Connection, ConnectionProblem
from bullherd.core.reconcile import queue_of
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.deployments import deployment_state, read_deployment

log = structlog.get_logger(__name__)

_PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each try to resolve a connection at the start."""

_DEPLOYMENT_RETRY = 2.0


class Claims:
    """Notes claims in the registry."""

    def __init__(self, kubernetes: Kubernetes, registry: Registry, connections: Connections) -> None:
        self._kubernetes = kubernetes
        self._registry = registry
        self._connections = connections

    def note(
        self, key: JobKey, job: QueueJob, connection: Connection | ConnectionProblem
    ) -> QueueClaim | None:
        """Note the claim of a QueueJob that has a connection; without one the last stays."""
        if isinstance(connection, ConnectionProblem):
            return None
        created = job.metadata.creation_timestamp.timestamp()
        served = ServedQueue(connection.endpoint.address, queue_of(job))
        return self._note(key, job.metadata.uid, created, served)

    async def note_all(self) -> None:
        """Note every known QueueJob's claim before the first reconcile.

        Without it a younger QueueJob that happened to come first would start workers for a queue that is not
        its own.
        """
        unanswered = self._registry.keys
        for pause in _PAUSES:
            if unanswered:
                await asyncio.sleep(pause)
                unanswered = [key for key in unanswered if not await self._note_by_spec(key)]
        for key in self._registry.keys:
            known = self._registry.job(key)
            if known is not None and not self._registry.has_claim(key):
                await self._note_by_deployment(key, known)

    async def _note_by_spec(self, key: JobKey) -> bool:
        """False when the API server did not say what the connection is."""
        known = self._registry.job(key)
        if known is not None and isinstance(known.job, QueueJob):
            try:
                self.note(key, known.job, await self._connections.resolve(known.job))
            except KubernetesError as error:
                log.warning("claim_not_known", namespace=key[0], queuejob=key[1], reason=error.message)
                return False
        return True

    async def _note_by_deployment(self, key: JobKey, known: KnownQueueJob) -> None:
        while True:
            try:
                body = await read_deployment(self._kubernetes, *key)
                break
            except KubernetesError as error:
                log.warning("claim_not_known", namespace=key[0], queuejob=key[1], reason=error.message)
                await asyncio.sleep(_DEPLOYMENT_RETRY)
        state = deployment_state(body) if body is not None else None
        if state is not None and state.serves is not None and state.owner_uid == known.uid:
            self._note(key, known.uid, known.created, state.serves)

    def _note(self, key: JobKey, uid: str, created: float, served: ServedQueue) -> QueueClaim:
        claim = QueueClaim(*key, uid=uid, created=created, served=served)
        self._registry.claim(key, claim)
        return claim
