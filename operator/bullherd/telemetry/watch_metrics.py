"""What every process counts of itself and of the Redis servers that it reads, for ``/metrics``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from bullherd.core.snapshot import QueueKey

_SERVER = ("server",)


class WatchMetrics:
    """All metrics, in a registry of their own, so that two processes in one test do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
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
        self.redis_up = Gauge(
            "bullherd_redis_up",
            "Whether the last read of a Redis server found it (1) or not (0)",
            _SERVER,
            registry=self.registry,
        )
        self.stalled_items = Counter(
            "bullherd_stalled_items_total",
            "Items taken back from dead workers",
            [*_SERVER, "prefix", "queue"],
            registry=self.registry,
        )

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)

    def forget_queue(self, server: str, queue: QueueKey) -> None:
        """Remove every series of a queue that is no longer watched."""
        self.stalled_items.remove_by_labels({"server": server, "prefix": queue.prefix, "queue": queue.name})

    def forget_server(self, server: str) -> None:
        """Remove every series of a Redis server that is no longer watched."""
        for metric in (self.redis_read_seconds, self.redis_read_errors, self.redis_up):
            metric.remove_by_labels({"server": server})
