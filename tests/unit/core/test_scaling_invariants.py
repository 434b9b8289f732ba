"""What holds for every history of a queue, second by second. Needs hypothesis.

A history is what a tick per second sees; the operator may be restarted between any two ticks and then has
only what the status tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from bullherd.api import QueueJobStatus, ScalingStatus
from bullherd.api import ScaleIn as ScaleInStatus
from bullherd.core.demand import demand_of
from bullherd.core.policy import ScalingPolicy
from bullherd.core.scaling import Circumstances, ScaleIn, decide_replicas
from bullherd.core.snapshot import QueueSnapshot
from bullherd.core.status import scale_in_of
from tests.unit.builders import NOW, policy, snapshot


@dataclass(frozen=True)
class Second:
    """One tick of a history."""

    queue: QueueSnapshot
    restart: bool


@dataclass(frozen=True)
class Turn:
    """What a tick made of the replicas."""

    now: float
    queue: QueueSnapshot
    before: int
    after: int
    demand: int


policies = st.builds(
    lambda low, more, per, concurrency, cooldown: ScalingPolicy(
        low, low + more, per, concurrency, cooldown, cooldown
    ),
    st.integers(0, 4),
    st.integers(1, 8),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 12).map(float),
)
small = st.integers(0, 30)
queues = st.one_of(
    st.just(snapshot()),
    st.builds(
        snapshot,
        waiting=small,
        prioritized=st.integers(0, 2),
        delayed_due=st.integers(0, 2),
        active=small,
        paused=st.sampled_from([False, False, False, True]),
        global_concurrency=st.sampled_from([None, None, 3]),
        rate_limit_max=st.sampled_from([None, None, 4]),
        rate_limited_for=st.sampled_from([0.0, 0.0, 1.5]),
    ),
)
histories = st.lists(st.builds(Second, queues, st.sampled_from([False, False, False, True])), max_size=50)


def play(
    policy: ScalingPolicy, history: list[Second], replicas: int, scale_in: ScaleIn | None = None
) -> Iterator[Turn]:
    """The operator's turns over a history. Each item in work is on a pod of its own: the worst case."""
    for number, second in enumerate(history):
        now = NOW + number
        if second.restart:
            scale_in = through_status(scale_in)
        around = Circumstances(scale_in, busy=min(second.queue.active, replicas))
        decision = decide_replicas(policy, second.queue, replicas, around, now)
        yield Turn(now, second.queue, replicas, decision.replicas, demand_of(policy, second.queue).replicas)
        replicas, scale_in = decision.replicas, decision.scale_in


def through_status(scale_in: ScaleIn | None) -> ScaleIn | None:
    """What a new operator reads of a wait that the old one wrote."""
    if scale_in is None:
        return None
    since = datetime.fromtimestamp(scale_in.since, UTC)
    wait = ScaleInStatus(since=since, peak=scale_in.peak)
    written = QueueJobStatus(scaling=ScalingStatus(scale_in=wait))
    return scale_in_of(QueueJobStatus.model_validate_json(written.model_dump_json(by_alias=True)))


any_history = given(policies, histories, st.integers(0, 20))


@any_history
def test_never_below_the_minimum(policy: ScalingPolicy, history: list[Second], start: int) -> None:
    for turn in play(policy, history, start):
        assert turn.after >= policy.min_replicas


@any_history
def test_never_made_larger_than_the_maximum(policy: ScalingPolicy, history: list[Second], start: int) -> None:
    for turn in play(policy, history, start):
        assert turn.after <= max(policy.max_replicas, turn.before)


@any_history
def test_a_scale_in_ends_above_the_maximum_only_for_busy_pods(
    policy: ScalingPolicy, history: list[Second], start: int
) -> None:
    for turn in play(policy, history, start):
        if policy.max_replicas < turn.after < turn.before:
            assert turn.after == turn.queue.active


@any_history
def test_no_busy_pod_is_cut(policy: ScalingPolicy, history: list[Second], start: int) -> None:
    for turn in play(policy, history, start):
        if turn.after < turn.before:
            assert turn.after >= min(turn.queue.active, turn.before)


@any_history
def test_growth_is_to_the_demand_and_at_once(
    policy: ScalingPolicy, history: list[Second], start: int
) -> None:
    for turn in play(policy, history, start):
        assert turn.after >= turn.demand
        if turn.after > turn.before:
            assert turn.after == turn.demand


@any_history
def test_replicas_fall_only_below_what_was_not_needed_for_the_whole_cooldown(
    policy: ScalingPolicy, history: list[Second], start: int
) -> None:
    """The wait may have begun at the first turn, but not before: so nothing falls in the first cooldown."""
    turns: list[Turn] = []
    for turn in play(policy, history, start):
        turns.append(turn)
        if turn.after < turn.before:
            assert turn.now - NOW >= policy.cooldown
            window = [t.demand for t in turns if t.now > turn.now - policy.cooldown]
            assert turn.after >= max([*window, turn.demand])


@any_history
def test_a_restart_at_any_time_changes_nothing(
    policy: ScalingPolicy, history: list[Second], start: int
) -> None:
    undisturbed = [Second(second.queue, restart=False) for second in history]
    assert list(play(policy, history, start)) == list(play(policy, undisturbed, start))


@settings(max_examples=200)
@given(policies, histories, st.integers(0, 20))
def test_an_idle_queue_is_at_its_minimum_exactly_after_the_cooldown(
    policy: ScalingPolicy, history: list[Second], start: int
) -> None:
    """Whatever came before, if its last second asked for more than the minimum."""
    full = Second(snapshot(waiting=1000), restart=False)
    idle = [Second(snapshot(), restart=False)] * (int(policy.cooldown) + 2)
    turns = list(play(policy, [*history, full, *idle], start))[len(history) :]
    assert turns[0].after > policy.min_replicas
    went_idle = turns[1].now
    reached = next(turn.now for turn in turns if turn.after == policy.min_replicas)
    assert reached - went_idle == policy.cooldown


def test_the_simulation_itself_sees_a_wake_and_a_sleep() -> None:
    history = [Second(queue, restart=False) for queue in [snapshot(waiting=3)] * 2 + [snapshot()] * 5]
    counts = [turn.after for turn in play(policy(cooldown=3.0), history, 0)]
    assert counts == [3, 3, 3, 3, 3, 0, 0]
