"""One command at a time may change a checkout's cluster; a second one waits for the first."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dev.errors import DevError
from dev.paths import Checkout

LIMIT = 1800


@contextmanager
def held(checkout: Checkout, say: Callable[[str], None]) -> Iterator[None]:
    """The lock is on the checkout's own folder: no file is left behind, and it ends with this process."""
    folder = os.open(checkout.root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _taken(folder):
            say("another command is at work on this checkout's cluster; waiting for it")
            deadline = time.monotonic() + LIMIT
            while not _taken(folder):
                if time.monotonic() > deadline:
                    raise DevError(
                        f"another command has been at work on this cluster for {LIMIT / 60:.0f} minutes",
                        todo=f"see who it is with `fuser -v {checkout.root}`",
                    )
                time.sleep(0.2)
        yield
    finally:
        os.close(folder)


def _taken(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
