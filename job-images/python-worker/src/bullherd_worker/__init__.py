"""Write BullMQ job kinds in Python.

A job kind is one function, registered in one place::

    from bullherd_worker import JobContext, job

    @job("resize", data=Picture, result=Thumbnail, timeout=60)
    async def resize(data: Picture, context: JobContext) -> Thumbnail: ...

``bullherd-worker your.module`` then works the queue that the pod's environment names.
"""

from bullherd_worker.context import JobContext, PlainJobContext
from bullherd_worker.errors import JobError, UnrecoverableError
from bullherd_worker.registry import JobKind, Registry, job

__all__ = ["JobContext", "JobError", "JobKind", "PlainJobContext", "Registry", "UnrecoverableError", "job"]
