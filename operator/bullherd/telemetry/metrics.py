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
        self.denied_replicas = Gauge(
            "bullherd_replicas_denied",
            "Replicas that a queue could use and the budgets do not give",
            _QUEUEJOB,
            registry=self.registry,
        )
        self.unschedulable_pods = Gauge(
            "bullherd_unschedulable_pods", "Worker pods that find no node", _QUEUEJOB, registry=self.registry
        )
        self.paused = Gauge(
            "bullherd_queuejob_paused", "1 while a queue is paused", _QUEUEJOB, registry=self.registry
        )
        self.wake_seconds = Histogram(
            "bullherd_wake_seconds",
            "For a queue without workers, from when its oldest item could be started until replicas were set",
            buckets=(0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.decision_seconds = Histogram(
            "bullherd_decision_seconds",
            "One decision about a QueueJob, without any request",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05),
            registry=self.registry,
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
        self.paused.labels(namespace, name).set(snapshot.paused)

    def observe_workers(
        self, namespace: str, name: str, *, desired: int, ready: int, denied: int, unschedulable: int
    ) -> None:
        """Set the gauges of one QueueJob's workers."""
        for gauge, value in (
            (self.desired_replicas, desired),
            (self.ready_replicas, ready),
            (self.denied_replicas, denied),
            (self.unschedulable_pods, unschedulable),
        ):
            gauge.labels(namespace, name).set(value)

    def forget(self, namespace: str, name: str) -> None:
        """Remove every series of a QueueJob that is gone."""
        labels = {"namespace": namespace, "queuejob": name}
        for metric in (
            self.items,
            self.backlog,
            self.oldest_item_age,
            self.desired_replicas,
            self.ready_replicas,
            self.denied_replicas,
            self.unschedulable_pods,
            self.paused,
            self.scalings,
            self.reconcile_errors,
        ):
            metric.remove_by_labels(labels)
