"""buildah's store in the cache: shared by all checkouts, and emptied before it grows without end.

Every change of a source file adds layers, and only the newest are ever used again. Telling which those are is
not worth the trouble: making all images anew takes two minutes.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager

from dev.paths import cache
from dev.process import output

FULL = 600
"""Images, counting each layer of a build: about 75 builds and 6 GB."""


def command() -> list[str]:
    folder = cache() / "images"
    return ["buildah", "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver=overlay"]


@contextmanager
def in_use() -> Iterator[None]:
    """While a command builds and exports, nobody empties the store; who comes when nobody is there may."""
    folder = cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            _empty_if_full()
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def _empty_if_full() -> None:
    if not (cache() / "images/store").exists():
        return
    images = json.loads(output([*command(), "images", "--all", "--json"], limit=120) or "[]")
    if images and len(images) > FULL:
        output([*command(), "rmi", "--all", "--force"], limit=600)
