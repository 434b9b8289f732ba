"""Why workers that are wanted do not come: the most telling thing that their pods say.

A Deployment does not tell: one that was made at 0 replicas counts as complete for ever, whatever becomes of
the pods of a later scale-up. The pods do, in three kinds of words. A container's are the best: its image, its
settings, its end. The scheduler's come next. Everything else (being made, not ready yet) is what each pod
says in its first minute, and means something only after a long one.

One pod that is ready makes the queue move, so the others' troubles are then no reason to call it unworked.
But a container that ends at once is ready for a moment after each restart; such a pod counts only when it has
stayed so for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

UNSCHEDULABLE = "Unschedulable"
CRASH_LOOP = "CrashLoopBackOff"

NORMAL_AT_FIRST = frozenset({"ContainerCreating", "PodInitializing", "NotReady", "Pending"})
"""What every pod says for a while before it is ready."""

_LOOK_AFTER = 15.0
"""Seconds with too few pods that are ready before anybody asks why."""

_PATIENCE = 120.0
"""Seconds for which what is normal at first stays so."""

_SETTLED = 15.0
"""Seconds for which a restarted container must have run to count as come to stay."""

_SAME = {"ErrImagePull": "ImagePullBackOff"}
"""What the kubelet says in turn of one and the same trouble."""

_ADVICE = {
    "ImagePullBackOff": "Mend the image in spec.template, or the right to pull it.",
    "ErrImageNeverPull": "Mend the image in spec.template, or bring it to the nodes.",
    "InvalidImageName": "Mend the image in spec.template.",
    "CreateContainerConfigError": "Create what is missing, or mend spec.template.",
    UNSCHEDULABLE: "Make room for them, or mend what spec.template asks of a node.",
}


@dataclass(frozen=True, slots=True)
class PodState:
    """A worker's pod. ``reason`` is one word on why it is not ready, empty when it is; ``message`` more.

    ``restarted_at``: when its youngest container began anew after an end, unix seconds; None if none did.
    """

    name: str
    reason: str = ""
    message: str = ""
    restarted_at: float | None = None


def look_at_pods_in(short_since: float | None, in_trouble: bool, now: float) -> float | None:
    """Seconds until the pods are worth a look, None for not at all.

    ``short_since``: since when fewer pods are ready than are wanted; ``in_trouble``: the last look found
    something, which is over only when another one says so.
    """
    if in_trouble:
        return 0.0
    return None if short_since is None else max(0.0, short_since + _LOOK_AFTER - now)


def homeless_pods(pods: Collection[PodState]) -> tuple[PodState, ...]:
    """Those that find no node."""
    return tuple(pod for pod in pods if pod.reason == UNSCHEDULABLE)


def why_none_works(
    pods: Collection[PodState], waited: float, otherwise: str | None, now: float
) -> str | None:
    """A sentence on why no pod of these works the queue, or None when it is too early to say.

    ``waited``: seconds for which too few have been ready; ``otherwise``: what the Deployment itself complains
    of, and all there is to say when a pod does work.
    """
    if any(_works(pod, now) for pod in pods):
        return otherwise
    troubles = [pod for pod in pods if pod.reason not in NORMAL_AT_FIRST]
    if not troubles and (otherwise is not None or waited < _PATIENCE):
        return otherwise
    if not pods:
        return f"No worker pod was made in {waited:.0f} s. Does the cluster's kube-controller-manager run?"
    return _told(troubles or pods, len(pods))


def _works(pod: PodState, now: float) -> bool:
    return not pod.reason and (pod.restarted_at is None or now - pod.restarted_at >= _SETTLED)


def _told(troubles: Iterable[PodState], pods: int) -> str:
    """The trouble that most pods have, of those that got furthest."""
    told = [pod for pod in troubles if pod.reason != UNSCHEDULABLE] or list(troubles)
    kinds = Counter(_kind(pod) for pod in told)
    kind = max(sorted(kinds), key=lambda one: kinds[one])
    example = min((pod for pod in told if _kind(pod) == kind), key=lambda pod: (not pod.message, pod.name))
    return (
        f"No worker pod is ready; {kinds[kind]} of {pods}: {_worded(example)}. "
        f"{_ADVICE.get(kind, 'kubectl describe and logs of the pods tell more.')}"
    )


def _kind(pod: PodState) -> str:
    # One that is ready, but only since a moment after an end, gets here, too.
    return _SAME.get(pod.reason, pod.reason) or CRASH_LOOP


def _worded(pod: PodState) -> str:
    message = pod.message.strip().rstrip(".")
    return f"{pod.reason or CRASH_LOOP}{message and ': '}{message}"
