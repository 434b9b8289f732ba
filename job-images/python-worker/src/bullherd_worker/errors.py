"""What a job kind may raise, and what the runtime says itself.

Any exception fails the attempt and is retried by the item's own options. A ``JobError`` promises that its
message was written for people and holds no personal data: only then does the message go to the logs. The item
in Redis always gets the message and the traceback, as with Node workers.
"""


class JobError(Exception):
    """The attempt failed for a reason that a person should read. Retried while the item has attempts left."""


class UnrecoverableError(JobError):
    """The item can never succeed: it fails now, whatever attempts it has left."""


class InvalidItemError(UnrecoverableError):
    """The item's data or the handler's result does not fit the job kind's model."""


class JobTimeoutError(JobError):
    """The handler took longer than its job kind allows."""


class RedisAwayError(Exception):
    """No answer from Redis: the connection is down or was lost before the reply came."""


class UnknownJobKindError(Exception):
    """No module that was loaded registers the job kind that the environment asks for."""
