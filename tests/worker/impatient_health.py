"""A module for a worker process whose fetch loop counts as stuck after half a second instead of thirty."""

from __future__ import annotations

from bullherd_worker import health, worker

health.LOOP_LIMIT_S = 0.5
worker.TURN_S = 0.1
