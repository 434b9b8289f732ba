"""An operator's reconciler in memory, and all around it: API server, Redis, connections, clock.

Connections are real files, the clock is the test's, and what Redis shows is what the test says.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bullherd.bullmq.holders import HolderReader
from bullherd.controllers.budget import Budgets
from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.external_metrics import ExternalMetricsLook
from bullherd.controllers.queuejobs import QueueJobReconciler
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.server_watch import Reading
from bullherd.controllers.statuses import StatusWriter
from bullherd.core.budget import Limits
from bullherd.core.busy import QueueHolders
from bullherd.core.engine import ExternalMetrics, MetricsOwner
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import NOW, body, snapshot
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

KEY = ("shop", "emails")
AWAY = "Redis at redis:6379/0 cannot be used: it is away."


class Redis(DemandWatch):
    """What the queues show; one that is followed shows ``readings[queue name]``."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.followed_by: dict[JobKey, tuple[RedisEndpoint, QueueKey]] = {}
        self.asleep: dict[JobKey, bool] = {}
        self.held: dict[str, QueueHolders] = {}

    def follow(self, owner: JobKey, endpoint: RedisEndpoint, queue: QueueKey) -> None:
        self.followed_by[owner] = endpoint, queue

    def forget(self, owner: JobKey) -> None:
        self.followed_by.pop(owner, None)

    def set_asleep(self, owner: JobKey, asleep: bool) -> None:
        self.asleep[owner] = asleep

    def holder_reader(self, owner: JobKey) -> HolderReader | None:
        return cast(HolderReader, self) if owner in self.followed_by else None

    async def holders(self, queue: QueueKey) -> QueueHolders:
        return self.held.get(queue.name, QueueHolders())

    def reading(self, owner: JobKey) -> Reading:
        if owner not in self.followed_by:
            return Reading()
        return self.readings.get(self.followed_by[owner][1].name, Reading())

    def shows(self, queue: str = "emails", **counts: Any) -> None:
        self.readings[queue] = Reading(snapshot(**counts))

    def is_away(self, queue: str = "emails") -> None:
        self.readings[queue] = Reading(self.readings.get(queue, Reading()).snapshot, AWAY)


class Cluster:
    """An operator that reconciles when it is told to, and all around it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr("bullherd.controllers.queuejobs.time", SimpleNamespace(time=lambda: self.now))
        self.folder = folder
        self.api = FakeKubernetes()
        self.redis = Redis()
        self.served_by = MetricsOwner.NOBODY
        self.limits = Limits()
        self.restart()

    def restart(self) -> None:
        """A new leader: it knows only what stands in the cluster."""
        self.woken: list[JobKey] = []
        self.metrics = OperatorMetrics()
        self.registry = Registry(self.woken.append)
        self.connections = Connections(self.api, self.folder)
        self.external_metrics = ExternalMetricsLook(self.api, "bullherd", "bullherd-server", lambda: None)
        self.external_metrics.seen = ExternalMetrics(self.served_by)
        self.budgets = Budgets(self.limits, self.woken.append)
        self.reconciler = QueueJobReconciler(
            self.api,
            self.registry,
            self.connections,
            self.redis,
            StatusWriter(self.api, self.metrics),
            self.external_metrics,
            self.budgets,
            self.metrics,
            "bullherd-",
        )
        self.api.seen = self._watched
        for known in self.api.all("queuejobs"):
            self.registry.put_job(known)
        for known in self.api.all("deployments"):
            self.registry.deployments.put(known)
        for known in self.api.all("horizontalpodautoscalers"):
            self.registry.autoscalers.put(known)

    def _watched(self, plural: str, seen: dict[str, Any]) -> None:
        if plural == "queuejobs":
            self.registry.put_job(seen)
        elif plural == "deployments" and "labels" in seen["metadata"]:
            self.registry.deployments.put(seen)
        elif plural == "horizontalpodautoscalers":
            self.registry.autoscalers.put(seen)

    async def connection(self, name: str = "default", host: str = "redis") -> None:
        (self.folder / f"{name}.yaml").write_text(f"{{host: {host}, namespaces: ['*']}}")
        await self.connections.reload()

    def put(self, name: str = "emails", **changes: Any) -> None:
        self.api.put(QUEUEJOBS, body(name, **changes))

    async def turn(self, *keys: JobKey, after: float = 0.0) -> float | None:
        """Reconcile each, ``after`` so many seconds; the last one's wish to be looked at again."""
        self.now += after
        wish: float | None = None
        for key in keys or (KEY,):
            wish = await self.reconciler.reconcile(key)
        return wish

    def pods_come(self) -> None:
        """All pods that are asked for are ready."""
        deployment = self.api.look(DEPLOYMENTS, *KEY)
        replicas = deployment["spec"]["replicas"]
        deployment["status"] = {"replicas": replicas, "readyReplicas": replicas}
        self.api.put(DEPLOYMENTS, deployment)

    def replicas(self, name: str = "emails") -> int:
        replicas: int = self.api.look(DEPLOYMENTS, "shop", name)["spec"]["replicas"]
        return replicas

    def has_deployment(self, name: str = "emails") -> bool:
        return any(d["metadata"]["name"] == name for d in self.api.all("deployments"))

    def condition(self, type_: str, name: str = "emails") -> tuple[str, str, str]:
        """Status, reason and message."""
        conditions = self.api.look(QUEUEJOBS, "shop", name)["status"]["conditions"]
        (found,) = (c for c in conditions if c["type"] == type_)
        return found["status"], found["reason"], found["message"]

    def ready(self, name: str = "emails") -> tuple[str, str]:
        return self.condition("Ready", name)[:2]

    def message(self, name: str = "emails") -> str:
        return self.condition("Ready", name)[2]

    def managers(self) -> list[str]:
        fields = self.api.look(DEPLOYMENTS, *KEY)["metadata"]["managedFields"]
        return [field["manager"] for field in fields]

    def events(self) -> list[str]:
        return [event["reason"] for event in self.api.all("events")]

    def applies(self) -> int:
        return self.api.count("APPLY", "deployments")
