"""What the operator counts of itself and its queues, for ``/metrics``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from bullherd.core.snapshot import QueueKey, QueueSnapshot

_QUEUEJOB = ("namespace", "queuejob")
_SERVER = ("server",)


class OperatorMetrics:
    """All metrics, in a registry of their own, so that two operators in one test do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
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
        self.redis_read_seconds = Histogram(
            "bullherd_redis_read_seconds",
            "One read of all queues of a Redis server",
            _SERVER,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=self.registry,
        )
        self.redis_read_errors = Counter(
            "bullherd_redis_read_errors_total",
            "Reads of a Redis server that failed",
            _SERVER,
            registry=self.registry,
        )
        self.stalled_items = Counter(
            "bullherd_stalled_items_total",
            "Items taken back from dead workers",
            [*_SERVER, "prefix", "queue"],
            registry=self.registry,
        )
        self.leader = Gauge("bullherd_leader", "1 while this process is the leader", registry=self.registry)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)

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

    def forget_queue(self, server: str, queue: QueueKey) -> None:
        """Remove every series of a queue that is no longer watched."""
        self.stalled_items.remove_by_labels({"server": server, "prefix": queue.prefix, "queue": queue.name})

    def forget_server(self, server: str) -> None:
        """Remove every series of a Redis server that is no longer watched."""
        for metric in (self.redis_read_seconds, self.redis_read_errors):
            metric.remove_by_labels({"server": server})
