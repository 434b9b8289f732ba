"""What BullMQ's scripts answer, as values and exceptions.

A negative number says that the item is not ours any more, or not there: that is ``NotOursError``, and it
means "report nothing". For two of them the item is ours, but its children forbid that it completes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bullherd_worker.errors import JobError, UnrecoverableError
from bullherd_worker.item import Item, parse_item

PENDING_CHILDREN, FAILED_CHILDREN = -4, -9


class NotOursError(Exception):
    """The item was taken from us (its lock ran out) or removed; or the lost first try of this call had done
    its work.
    """

    REASONS = {  # noqa: RUF012
        -1: "the item is gone",
        -2: "its lock is gone",
        -3: "it is not active any more",
        -6: "another worker holds its lock",
    }

    def __init__(self, code: int) -> None:
        super().__init__(self.REASONS.get(code, f"BullMQ's script answered {code}"))
        self.code = code


class PendingChildrenError(JobError):
    """The item cannot complete: it has children that are not done."""


class FailedChildrenError(UnrecoverableError):
    """The item can never complete: it has children that failed."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought: an item, or why there is none and when to ask again."""

    item: Item | None = None
    #: The queue's rate limit is used up for so long.
    limited_ms: int = 0
    #: When the next delayed item is due, Unix milliseconds; 0 when none is known.
    next_due_ms: int = 0
    #: Whether the queue was looked at, so that "no item" means that there was none.
    looked: bool = False


NOTHING = Fetched()


def checked(answer: Any) -> Any:
    """The answer, unless it is a refusal: that is raised."""
    if isinstance(answer, int) and answer < 0:
        if answer == PENDING_CHILDREN:
            raise PendingChildrenError("The item cannot complete: it has children that are not done")
        if answer == FAILED_CHILDREN:
            raise FailedChildrenError("The item cannot complete: it has children that failed")
        raise NotOursError(answer)
    return answer


def fetched(answer: Any, *, looked: bool) -> Fetched:
    """The scripts' common answer: [fields or 0, id or 0, limit in ms, next due time in ms], or 0."""
    if not isinstance(answer, list) or not answer:
        return Fetched(looked=looked)
    fields, raw_id, *rest = answer
    if fields:
        return Fetched(item=parse_item(raw_id, fields))
    limited, due = (*rest, 0, 0)[:2]
    return Fetched(limited_ms=int(limited), next_due_ms=int(due or 0), looked=looked)
