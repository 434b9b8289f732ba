"""Holding a ``coordination.k8s.io`` Lease: the shell around ``core.election``.

``acquire`` waits for the Lease; ``hold`` renews it and returns when it is lost, which must end the process:
another one may already be at work. Where the API server cannot be reached, the holder gives up after
``renew_deadline``, before the Lease's own duration lets a standby take over. ``release`` lets the standby in
at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from bullherd.core.election import LeaseMove, LeaseRecord, LeaseTerms, decide_lease_move
from bullherd.kube.client import Body, Kubernetes, KubernetesError, Resource

LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")

_RELEASE_LIMIT = 3.0
"""Seconds. The kubelet gives a pod that ends not much more, and the Lease runs out by itself."""

log = structlog.get_logger(__name__)


class LeaseHolder:
    """One candidate. ``beat`` is called each time that the candidate turned, successful or not."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        name: str,
        identity: str,
        terms: LeaseTerms,
        beat: Callable[[], None],
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._terms = terms
        self._beat = beat
        self._seen: LeaseRecord | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self._body: Body = {}

    async def acquire(self) -> None:
        """Return once this candidate holds the Lease."""
        while not await self._try_once():  # noqa: ASYNC110 - nobody tells us when the Lease is free
            await asyncio.sleep(self._terms.retry_period)
        log.info("leadership_acquired", lease=self._name, identity=self._identity)

    async def hold(self) -> None:
        """Renew until the Lease is lost; then return."""
        try:
            while True:
                # Whatever a request waits for: a standby counts from the renewal that it saw, and so do we.
                async with asyncio.timeout_at(self._renewed_at + self._terms.renew_deadline):
                    if not await self._renewed():
                        break
        except TimeoutError:
            pass
        log.error("leadership_lost", lease=self._name, identity=self._identity)

    async def release(self) -> None:
        """Leave the Lease to whoever comes next; best effort, on the way out."""
        if self._seen is None or self._seen.holder != self._identity:
            return
        try:
            async with asyncio.timeout(_RELEASE_LIMIT):
                await self._write("", self._seen.transitions)
        except TimeoutError:
            log.warning("leadership_not_released", reason="The API server did not answer.")
        except KubernetesError as error:
            log.warning("leadership_not_released", reason=error.message)

    async def _renewed(self) -> bool:
        """True after the next renewal; False when the Lease is somebody else's."""
        while True:
            await asyncio.sleep(self._terms.retry_period)
            if await self._try_once():
                return True
            if self._seen is not None and self._seen.holder not in ("", self._identity):
                return False

    async def _try_once(self) -> bool:
        """One move; False when the Lease is somebody else's or could not be written in time."""
        self._beat()
        try:
            async with asyncio.timeout(self._terms.renew_deadline / 2):
                return await self._move()
        except TimeoutError:
            log.warning("lease_not_answered", lease=self._name)
        except KubernetesError as error:
            if not error.conflict:
                log.warning("lease_request_failed", lease=self._name, reason=error.message)
        return False

    async def _move(self) -> bool:
        record = await self._read()
        if record != self._seen:
            self._seen, self._seen_at = record, _now()
        move = decide_lease_move(record, self._identity, _now() - self._seen_at)
        if move is LeaseMove.WAIT:
            return False
        transitions = record.transitions if record else 0
        await self._write(
            self._identity, transitions + (move is LeaseMove.TAKE_OVER), create=move is LeaseMove.CREATE
        )
        return True

    async def _read(self) -> LeaseRecord | None:
        try:
            self._body = await self._kubernetes.get(LEASES, self._namespace, self._name)
        except KubernetesError as error:
            if error.missing:
                return None
            raise
        return _record_of(self._body)

    async def _write(self, holder: str, transitions: int, create: bool = False) -> None:
        asked_at = _now()
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = dict(self._body.get("spec") or {}) if not create else {}
        if spec.get("holderIdentity") != (holder or None):
            spec["acquireTime"] = stamp
        spec |= {
            # The API refuses an empty holder; none at all is how a released Lease looks.
            "holderIdentity": holder or None,
            "leaseDurationSeconds": int(self._terms.duration),
            "leaseTransitions": transitions,
            "renewTime": stamp,
        }
        if create:
            metadata = {"name": self._name, "namespace": self._namespace}
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": metadata,
                "spec": spec,
            }
            self._body = await self._kubernetes.create(LEASES, self._namespace, body)
        else:
            body = {**self._body, "spec": spec}
            self._body = await self._kubernetes.replace(LEASES, self._namespace, self._name, body)
        self._seen, self._seen_at = _record_of(self._body), _now()
        if holder:
            self._renewed_at = asked_at


def _now() -> float:
    return asyncio.get_running_loop().time()


def _record_of(body: Body) -> LeaseRecord:
    spec = body.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=body["metadata"]["resourceVersion"],
    )
