"""BullMQ's own Lua scripts, as shipped in the PyPI package ``bullmq``.

Their texts are the protocol that all of a queue's workers share, so they are used as they are. The package
itself is found but not imported: its Worker and the libraries that it needs have no part in this.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILES = {
    "addLog": "addLog-2.lua",
    "extendLocks": "extendLocks-1.lua",
    "moveJobFromActiveToWait": "moveJobFromActiveToWait-9.lua",
    "moveStalledJobsToWait": "moveStalledJobsToWait-9.lua",
    "moveToActive": "moveToActive-11.lua",
    "moveToDelayed": "moveToDelayed-11.lua",
    "moveToFinished": "moveToFinished-14.lua",
    "retryJob": "retryJob-11.lua",
    "updateJobScheduler": "updateJobScheduler-12.lua",
    "updateProgress": "updateProgress-3.lua",
}


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text, the hash that Redis knows it by, and how many keys it takes."""

    name: str
    text: bytes
    sha: str
    keys: int


@cache
def load_scripts() -> dict[str, Script]:
    """All scripts by name."""
    spec = importlib.util.find_spec("bullmq")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The PyPI package bullmq is not installed; its Lua scripts are needed")
    folder = Path(spec.submodule_search_locations[0], "commands")
    scripts = {}
    for name, file in FILES.items():
        text = (folder / file).read_bytes()
        keys = int(file.removesuffix(".lua").rsplit("-", 1)[1])
        scripts[name] = Script(name, text, hashlib.sha1(text, usedforsecurity=False).hexdigest(), keys)
    return scripts
