"""Failures outside of this program, said in our own words.

The messages of drivers can hold connection URLs, passwords and the values of rows; an item's failedReason
and stack trace are kept in Redis and shown on dashboards. So nothing of the original error passes: callers
raise these `from None`. An item that fails with one is tried again, with the backoff that the web app chose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bullherd_worker import JobError


class DatabaseAwayError(JobError):
    """The corrections cannot be read now."""


class TargetAwayError(JobError):
    """The training data cannot be written now."""


class AbandonedError(JobError):
    """Nobody waits for the result any more: stop before anything is published."""


class SettingsError(Exception):
    """The process was started with settings that cannot work."""


@contextmanager
def writing_to(place: str) -> Iterator[None]:
    """No space, no permission, no folder: said with the place, without the rest of the traceback."""
    try:
        yield
    except OSError as error:
        raise TargetAwayError(f"cannot write training data to {place}: {error.strerror}") from None
