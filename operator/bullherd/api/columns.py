"""What `kubectl get queuejobs` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column; ``wide`` ones are shown with `-o wide` only."""

    name: str
    type: str
    path: str
    description: str
    wide: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The form that a CRD has it in."""
        column: dict[str, Any] = {"name": self.name, "type": self.type}
        column |= {"description": self.description, "jsonPath": self.path}
        return column | {"priority": 1} if self.wide else column


COLUMNS = (
    PrinterColumn("Queue", "string", ".spec.queue.name", "BullMQ queue that is worked."),
    PrinterColumn("Mode", "string", ".spec.mode", "How items become work."),
    PrinterColumn(
        "Backlog", "integer", ".status.backlog", "Items that could be started now, and those in work."
    ),
    PrinterColumn("Active", "integer", ".status.counts.active", "Items in work."),
    PrinterColumn("Failed", "integer", ".status.counts.failed", "Items that failed for good."),
    PrinterColumn("Replicas", "integer", ".status.replicas", "Worker pods that there are."),
    PrinterColumn(
        "Ready",
        "string",
        '.status.conditions[?(@.type=="Ready")].status',
        "Whether the queue is worked as asked; if not, -o wide says why.",
    ),
    PrinterColumn("Age", "date", ".metadata.creationTimestamp", "Time since the QueueJob was made."),
    PrinterColumn("Prefix", "string", ".spec.queue.prefix", "BullMQ's prefix.", wide=True),
    PrinterColumn(
        "Desired",
        "integer",
        ".status.scaling.desiredReplicas",
        "Workers that the backlog calls for.",
        wide=True,
    ),
    PrinterColumn(
        "Oldest", "integer", ".status.oldestItemAgeSeconds", "Seconds that the oldest item waits.", wide=True
    ),
    PrinterColumn(
        "Scaling",
        "string",
        ".status.scaling.reason",
        "Why there are as many workers as there are.",
        wide=True,
    ),
    PrinterColumn(
        "Message",
        "string",
        '.status.conditions[?(@.type=="Ready")].message',
        "Why READY is what it is, and what to do if that is bad.",
        wide=True,
    ),
)
