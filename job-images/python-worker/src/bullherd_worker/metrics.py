"""What ``/metrics`` tells, one registry per worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class Metrics:
    """The worker's numbers. Counters by outcome are bound once: looking up costs more than counting."""

    def __init__(self, queue: str, kind: str) -> None:
        self.registry = CollectorRegistry()
        attempts = Counter(
            "bullherd_worker_attempts",
            "Attempts by how they ended; given_back and lost ones are not the item's fault.",
            ("queue", "kind", "outcome"),
            registry=self.registry,
        )
        self.completed = attempts.labels(queue, kind, "completed")
        self.retried = attempts.labels(queue, kind, "retried")
        self.failed = attempts.labels(queue, kind, "failed")
        self.given_back = attempts.labels(queue, kind, "given_back")
        self.lost = attempts.labels(queue, kind, "lost")
        self.seconds = Histogram(
            "bullherd_worker_attempt_seconds",
            "How long handlers ran.",
            ("queue", "kind"),
            buckets=SECONDS,
            registry=self.registry,
        ).labels(queue, kind)
        self.active = Gauge("bullherd_worker_active_items", "Items that run now.", registry=self.registry)
        self.concurrency = Gauge("bullherd_worker_concurrency", "Most items at once.", registry=self.registry)
        self.threads_left_behind = Gauge(
            "bullherd_worker_threads_left_behind",
            "Plain functions that go on after their item was taken from them.",
            registry=self.registry,
        )
        self.redis_up = Gauge("bullherd_worker_redis_up", "1 while Redis answers.", registry=self.registry)
        self.stalled_recovered = Counter(
            "bullherd_worker_stalled_recovered",
            "Stalled items that this worker put back.",
            registry=self.registry,
        )
