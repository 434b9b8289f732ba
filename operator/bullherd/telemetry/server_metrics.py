"""What the server counts beside its reads of Redis, for ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from bullherd.telemetry.watch_metrics import WatchMetrics


class ServerMetrics(WatchMetrics):
    """``metric`` is the external metric that was asked for, ``discovery``, or ``other``."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter(
            "bullherd_server_requests_total",
            "Answers of the aggregated API by what was asked for and HTTP status",
            ["metric", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "bullherd_server_request_seconds",
            "Time that an answer of the aggregated API took",
            ["metric"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "bullherd_server_certificate_expiry_timestamp_seconds",
            "Until when a certificate is good: the one that is served, and the authority that signs",
            ["certificate"],
            registry=self.registry,
        )
        self.oldest_reading_age = Gauge(
            "bullherd_server_oldest_reading_age_seconds",
            "Age of the value that was read longest ago",
            registry=self.registry,
        )

    def measure_oldest_reading(self, age: Callable[[], float]) -> None:
        """Ask for that age whenever somebody looks."""
        self.oldest_reading_age.set_function(age)
