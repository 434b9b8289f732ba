"""What a QueueJob's ``spec.scaling`` asks for, with its defaults resolved."""

from __future__ import annotations

from dataclasses import dataclass

from bullherd.api import QueueJob


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """``cooldown``: seconds without demand before the last pods go; ``scale_down_delay``: seconds of less
    demand before some do.

    ``activation_backlog``: items that may lie at 0 replicas without starting any. ``max_scale_up``: replicas
    that may be added in a second; None for any number.
    """

    min_replicas: int
    max_replicas: int
    items_per_replica: int
    concurrency: int
    cooldown: float
    scale_down_delay: float
    activation_backlog: int = 0
    max_scale_up: int | None = None


def policy_of(job: QueueJob) -> ScalingPolicy:
    """The scaling policy that a QueueJob's spec asks for."""
    scaling = job.spec.scaling
    return ScalingPolicy(
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        items_per_replica=job.spec.effective_items_per_replica,
        concurrency=job.spec.concurrency,
        cooldown=scaling.cooldown_seconds,
        scale_down_delay=scaling.effective_scale_down_delay,
        activation_backlog=scaling.activation_backlog,
        max_scale_up=scaling.max_scale_up_per_second,
    )
