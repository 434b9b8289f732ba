"""The Redis keys of one queue."""

from __future__ import annotations


class Keys:
    """``<prefix>:<queue>:…`` as bytes; ids may be any bytes."""

    def __init__(self, prefix: str, queue: str) -> None:
        self.base = f"{prefix}:{queue}:".encode()
        self.wait = self.base + b"wait"
        self.paused = self.base + b"paused"
        self.active = self.base + b"active"
        self.prioritized = self.base + b"prioritized"
        self.delayed = self.base + b"delayed"
        self.completed = self.base + b"completed"
        self.failed = self.base + b"failed"
        self.events = self.base + b"events"
        self.meta = self.base + b"meta"
        self.marker = self.base + b"marker"
        self.stalled = self.base + b"stalled"
        self.stalled_check = self.base + b"stalled-check"
        self.limiter = self.base + b"limiter"
        self.repeat = self.base + b"repeat"
        self.counter = self.base + b"id"
        self.priority_counter = self.base + b"pc"
        self.metrics_completed = self.base + b"metrics:completed"
        self.metrics_failed = self.base + b"metrics:failed"

    def item(self, raw_id: bytes) -> bytes:
        """The hash of an item."""
        return self.base + raw_id

    def lock(self, raw_id: bytes) -> bytes:
        """The lock of an item."""
        return self.base + raw_id + b":lock"

    def logs(self, raw_id: bytes) -> bytes:
        """The log lines of an item."""
        return self.base + raw_id + b":logs"

    def scheduler(self, scheduler_id: bytes) -> bytes:
        """The hash of a job scheduler."""
        return self.repeat + b":" + scheduler_id
