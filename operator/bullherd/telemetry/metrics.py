"""What the operator counts of itself and its queues, for ``/metrics``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from bullherd.core.snapshot import QueueSnapshot
from bullherd.telemetry.watch_metrics import WatchMetrics

_QUEUEJOB = ("namespace", "queuejob")


class OperatorMetrics(WatchMetrics):
    """What the operator counts beside its reads of Redis."""

    def __init__(self) -> None:
        super().__init__()
        self.items = Gauge(
            "bullherd_queue_items", "Items of a queue by state", [*_QUEUEJOB, "state"], registry=self.registry
        )
        self.backlog = Gauge(
            "bullherd_queue_backlog", "Items to be worked on now", _QUEUEJOB, registry=self.registry
        )
        self.oldest_item_age = Gauge(
            "bullherd_queue_oldest_item_age_seconds",
            "Age of the oldest item",
            _QUEUEJOB,
            registry=self.registry,
        )
        self.desired_replicas = Gauge(
            "bullherd_desired_replicas", "Replicas asked for", _QUEUEJOB, registry=self.registry
        )
        self.ready_replicas = Gauge(
            "bullherd_ready_replicas", "Replicas that are ready", _QUEUEJOB, registry=self.registry
        )
        self.scalings = Counter(
            "bullherd_scalings_total",
            "Changes of replicas",
            [*_QUEUEJOB, "direction"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "bullherd_reconcile_seconds", "Duration of one reconcile", registry=self.registry
        )
        self.reconcile_errors = Counter(
            "bullherd_reconcile_errors_total", "Reconciles that failed", _QUEUEJOB, registry=self.registry
        )
        self.leader = Gauge("bullherd_leader", "1 while this process is the leader", registry=self.registry)

    def observe_queue(self, namespace: str, name: str, snapshot: QueueSnapshot) -> None:
        """Set the gauges of one QueueJob's queue."""
        states = {
            "waiting": snapshot.waiting,
            "prioritized": snapshot.prioritized,
            "paused": snapshot.paused_list,
            "delayed": snapshot.delayed,
            "delayed_due": snapshot.delayed_due,
            "active": snapshot.active,
            "waiting_children": snapshot.waiting_children,
            "completed": snapshot.completed,
            "failed": snapshot.failed,
        }
        for state, count in states.items():
            self.items.labels(namespace, name, state).set(count)
        self.backlog.labels(namespace, name).set(snapshot.backlog)
        self.oldest_item_age.labels(namespace, name).set(snapshot.oldest_item_age or 0)

    def forget(self, namespace: str, name: str) -> None:
        """Remove every series of a QueueJob that is gone."""
        labels = {"namespace": namespace, "queuejob": name}
        for metric in (
            self.items,
            self.backlog,
            self.oldest_item_age,
            self.desired_replicas,
            self.ready_replicas,
            self.scalings,
            self.reconcile_errors,
        ):
            metric.remove_by_labels(labels)
