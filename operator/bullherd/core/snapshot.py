"""What one look at a BullMQ queue showed: the only thing that scaling knows of Redis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter


@dataclass(frozen=True, slots=True, order=True)
class QueueKey:
    """A BullMQ queue inside one Redis database: all keys under ``<prefix>:<name>:``."""

    prefix: str
    name: str

    @property
    def key_prefix(self) -> str:
        """The start of each of its Redis keys, with the closing colon."""
        return f"{self.prefix}:{self.name}:"


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """Counts of one queue, all read at the same instant. Times are unix seconds, durations seconds.

    ``exists``: an app has used the queue; one that nobody has ever used may be a name that is mistyped.
    ``paused_list`` holds what BullMQ 5 set aside when it paused the queue; BullMQ 6 leaves such items in
    ``waiting`` and only sets ``paused``.
    """

    taken_at: float
    exists: bool = True
    waiting: int = 0
    prioritized: int = 0
    paused_list: int = 0
    delayed: int = 0
    delayed_due: int = 0
    active: int = 0
    waiting_children: int = 0
    completed: int = 0
    failed: int = 0
    paused: bool = False
    next_delayed_at: float | None = None
    oldest_item_at: float | None = None
    global_concurrency: int | None = None
    rate_limit_max: int | None = None
    rate_limit_duration: float | None = None
    rate_limited_for: float = 0.0
    bullmq_version: str | None = None

    @property
    def backlog(self) -> int:
        """Items that a worker could start now or is working on.

        Delayed items count from the moment they are due: with no worker alive nobody else moves them to
        ``wait``.
        """
        return self.waiting + self.prioritized + self.paused_list + self.delayed_due + self.active

    @property
    def oldest_item_age(self) -> float | None:
        """Seconds since the oldest item that waits could have been started; None when nothing waits."""
        return None if self.oldest_item_at is None else max(0.0, self.taken_at - self.oldest_item_at)

    @property
    def news(self) -> tuple[object, ...]:
        """All that two looks must differ in to be worth telling. That time has passed is no news, nor that a
        rate limit lasts less long.
        """
        return self.rate_limited_for > 0, *_timeless(self)


_timeless = attrgetter(
    *(field.name for field in fields(QueueSnapshot) if field.name not in ("taken_at", "rate_limited_for"))
)
