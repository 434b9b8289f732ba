"""What is so and what is not about one QueueJob: the sentences of its conditions."""

from __future__ import annotations

from bullherd.api import ConditionStatus
from bullherd.core.conditions import Finding
from bullherd.core.observed import Observed
from bullherd.core.pods import why_none_works
from bullherd.core.scaling import Ceiling
from bullherd.core.snapshot import QueueSnapshot

READY = "Ready"
REDIS_REACHABLE = "RedisReachable"
QUEUE_FOUND = "QueueFound"
SCALING_LIMITED = "ScalingLimited"
PODS_NOT_STARTING = "PodsNotStarting"


def not_ready(reason: str, message: str) -> Finding:
    """The QueueJob is not worked as asked."""
    return Finding(READY, ConditionStatus.FALSE, reason, message)


def ready(observed: Observed, refusal: str | None, now: float) -> Finding:
    """Whether the queue is worked as asked; the first thing that is wrong, in order of what to mend first."""
    if refusal is not None:
        return not_ready(
            "TemplateRejected",
            f"The API server refused the workers' Deployment: {refusal}. Mend what it names: "
            f"spec.template, or else a quota, an admission webhook or the operator's own rights. Bullherd "
            f"tries again every 30 s.",
        )
    if observed.failure is not None:
        return not_ready(observed.failure.reason, observed.failure.message)
    if observed.snapshot is None or observed.redis_problem is not None:
        problem = observed.redis_problem
        if problem is None:
            return Finding(READY, ConditionStatus.UNKNOWN, "Starting", "The queue has not been read yet.")
        return not_ready("QueueUnreadable", f"{problem} The replicas are held until it can be read.")
    if (mixed := why_pause_is_mixed(observed.snapshot)) is not None:
        return not_ready("MixedPause", f"{mixed} The replicas are held until then.")
    if (trouble := _trouble_of_pods(observed, now)) is not None:
        return not_ready(PODS_NOT_STARTING, trouble)
    return Finding(READY, ConditionStatus.TRUE, "Scaling", "The queue is read and its workers are scaled.")


def redis_reachable(observed: Observed) -> Finding:
    """Whether the last read of the queue went well."""
    if observed.redis_problem is not None:
        return Finding(REDIS_REACHABLE, ConditionStatus.FALSE, "ReadFailed", observed.redis_problem)
    if observed.snapshot is None:
        return _unknown(REDIS_REACHABLE)
    return Finding(REDIS_REACHABLE, ConditionStatus.TRUE, "Read", "The queue is read regularly.")


def queue_found(observed: Observed, address: str) -> Finding:
    """Whether anything of the queue is in Redis: a wrong name reads as an empty queue for ever."""
    if observed.snapshot is None:
        return _unknown(QUEUE_FOUND)
    queue = f"{observed.job.spec.queue.prefix}:{observed.job.spec.queue.name}"
    if observed.snapshot.exists:
        return Finding(QUEUE_FOUND, ConditionStatus.TRUE, "Found", f"{queue} is in Redis at {address}.")
    return Finding(
        QUEUE_FOUND,
        ConditionStatus.FALSE,
        "QueueNotFound",
        f"Redis at {address} has no key of the queue {queue}. That is right if no app has used it yet. If "
        f"one has, it uses another queue name, prefix, database or server: compare with new Queue(…) there.",
    )


def scaling_limited(limit: Ceiling | None) -> Finding:
    """Whether the queue could use more workers than it may have."""
    if limit is None:
        message = "The queue has as many workers as it can use."
        return Finding(SCALING_LIMITED, ConditionStatus.FALSE, "NotLimited", message)
    return Finding(SCALING_LIMITED, ConditionStatus.TRUE, limit.reason, limit.message)


def why_pause_is_mixed(snapshot: QueueSnapshot) -> str | None:
    """What would be lost, and how not to, of a queue that BullMQ 5 and 6 have both had a hand in while it was
    paused.

    BullMQ 5 moves ``wait`` to ``paused`` when it pauses, and when it resumes renames ``paused`` over
    ``wait``; BullMQ 6 leaves waiting items where they are. So a queue of version 5 that is paused has nothing
    in ``wait`` but what somebody else left there, and that is what a rename would drop.
    """
    is_v5 = (snapshot.bullmq_version or "").startswith("5.")
    if not snapshot.paused or not snapshot.waiting or not (snapshot.paused_list or is_v5):
        return None
    return (
        f"The queue is paused, and BullMQ 5 and 6 both have had a hand in it: {snapshot.waiting} items are "
        f"in wait and {snapshot.paused_list} in paused. If BullMQ 5 resumes it now, those {snapshot.waiting} "
        f"items are lost. Resume it with BullMQ 6 or the Python client, which merge both; then let only one "
        f"version pause it."
    )


def _unknown(type_: str) -> Finding:
    return Finding(type_, ConditionStatus.UNKNOWN, "Starting", "The queue has not been read yet.")


def _trouble_of_pods(observed: Observed, now: float) -> str | None:
    live = observed.deployment
    if live is None or observed.pods is None:
        return live.problem if live else None
    waited = 0.0 if live.unavailable_since is None else now - live.unavailable_since
    return why_none_works(observed.pods, waited, live.problem, now)
