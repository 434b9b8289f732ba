"""Loaded into a worker process by a test: its fetch loop breaks after it has started."""

from __future__ import annotations

from typing import Any

from bullherd_worker.worker import Worker


async def _break(*_: Any) -> bool:
    raise RuntimeError("as the test asks")


Worker._fetch = _break  # type: ignore[method-assign]
