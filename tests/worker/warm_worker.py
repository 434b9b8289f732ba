"""A worker process that has done its imports and waits for one line of JSON: its environment and modules.

Imports are nine tenths of a worker's start. The fixture ``start_worker`` has the next process do them while a
test waits for something else. What follows is the ordinary ``bullherd-worker``, whose cold start is tested in
test_starting.py. Ends with its standard input, so that it does not outlive the tests.
"""

from __future__ import annotations

import json
import os
import sys

from bullherd_worker import cli


def main() -> None:
    order = sys.stdin.readline()
    if not order:
        return
    told = json.loads(order)
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.path[:0] = told["environment"]["PYTHONPATH"].split(os.pathsep)
    cli.main(told["modules"])


if __name__ == "__main__":
    main()
