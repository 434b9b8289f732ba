"""A port on loopback that leads to something in the cluster, for as long as it is needed."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dev.errors import DevError

LIMIT = 20.0
LOOK = 0.02


@contextmanager
def port_forward(command: Sequence[str | Path], to: str) -> Iterator[int]:
    """Run a `kubectl port-forward`; the local port. `to` is what it leads to, for a person."""
    # kubectl says a line per connection: a file takes them all; a pipe that nobody empties would stop it.
    with tempfile.TemporaryFile() as said:
        forward = subprocess.Popen(
            [str(word) for word in command], stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            yield _local_port(forward, said, to)
        finally:
            forward.terminate()
            forward.wait()


def _local_port(forward: subprocess.Popen[bytes], said: IO[bytes], to: str) -> int:
    deadline = time.monotonic() + LIMIT
    while True:
        ended = forward.poll() is not None
        said.seek(0)
        text = said.read().decode(errors="replace")
        if found := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", text):
            return int(found[1])
        if ended or time.monotonic() > deadline:
            why = text if ended else f"{text}\nkubectl port-forward did not say its port within {LIMIT:.0f} s"
            raise DevError(f"no way into {to}", why=why, todo="make status; kubectl get pods -A")
        time.sleep(LOOK)
