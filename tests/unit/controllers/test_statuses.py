"""What is written into a QueueJob's status, how often, and the Events after it. Needs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bullherd.api import InvalidQueueJob, QueueJob
from bullherd.controllers.statuses import StatusWriter
from bullherd.core.observed import Observed
from bullherd.core.reconcile import Plan, decide
from bullherd.core.scaling import ScaleIn
from bullherd.kube.client import KubernetesError
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import NOW, PREFIX, body, connection, deployment, job, snapshot
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

KEY = ("shop", "emails")
AWAY = "Redis at redis:6379/0 cannot be used: it is away."


class Cycle:
    """A writer and the API server it writes to; each call is the end of one reconcile."""

    def __init__(self) -> None:
        self.api = FakeKubernetes()
        self.api.put(QUEUEJOBS, body())
        self.metrics = OperatorMetrics()
        self.writer = StatusWriter(self.api, self.metrics)
        self.job = job()

    async def write(self, now: float = NOW, before: int = 3, **seen: Any) -> float | None:
        observed = self.observed(**seen)
        return await self.writer.write(KEY, observed, self.plan(observed, now), before, now)

    def observed(self, **seen: Any) -> Observed:
        plain: dict[str, Any] = {"snapshot": snapshot(waiting=3), "deployment": deployment(self.job, 3)}
        return Observed(job=self.job, connection=connection(), **plain | seen)

    def plan(self, observed: Observed, now: float) -> Plan:
        return decide(observed, PREFIX, now)

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.api.look(QUEUEJOBS, *KEY).get("status", {})
        return status

    def condition(self, type_: str) -> dict[str, Any]:
        return next(c for c in self.status["conditions"] if c["type"] == type_)

    @property
    def events(self) -> list[tuple[str, str, str]]:
        return [(e["type"], e["reason"], e["message"]) for e in self.api.all("events")]

    @property
    def writes(self) -> int:
        return self.api.count("PATCH", "queuejobs")


@pytest.fixture
def cycle() -> Cycle:
    return Cycle()


async def test_the_first_status_is_written_at_once_with_an_event(cycle: Cycle) -> None:
    assert await cycle.write() is None
    assert cycle.status["backlog"] == 3
    assert cycle.status["scaling"]["desiredReplicas"] == 3
    assert cycle.condition("Ready")["status"] == "True"
    assert [reason for _, reason, _ in cycle.events] == ["Scaling"]


async def test_an_idle_queue_costs_nothing(cycle: Cycle) -> None:
    await cycle.write()
    for second in range(100):
        seen = snapshot(waiting=3, taken_at=NOW + second)
        assert await cycle.write(NOW + second, snapshot=seen) is None
    assert cycle.writes == 1


async def test_mere_numbers_are_written_every_ten_seconds(cycle: Cycle) -> None:
    await cycle.write()
    for second in range(1, 31):
        due = await cycle.write(NOW + second, snapshot=snapshot(waiting=3, completed=second))
        assert due == (None if second % 10 == 0 else 10 - second % 10)
    assert cycle.writes == 4
    assert cycle.status["counts"]["completed"] == 30


async def test_a_transition_is_written_between_two_numbers(cycle: Cycle) -> None:
    await cycle.write()
    await cycle.write(NOW + 1, redis_problem=AWAY)
    assert cycle.writes == 2
    assert cycle.condition("Ready")["reason"] == "QueueUnreadable"
    assert ("Warning", "QueueUnreadable") in [event[:2] for event in cycle.events]


async def test_what_is_no_longer_known_is_removed(cycle: Cycle) -> None:
    await cycle.write(snapshot=snapshot(oldest_item_at=NOW - 5, waiting=3, bullmq_version="5.81.5"))
    assert cycle.status["oldestItemAgeSeconds"] == 5
    await cycle.write(NOW + 20)
    assert "oldestItemAgeSeconds" not in cycle.status
    assert "bullmqVersion" not in cycle.status


async def test_the_transition_time_stays_while_the_status_does(cycle: Cycle) -> None:
    await cycle.write()
    since = cycle.condition("Ready")["lastTransitionTime"]
    await cycle.write(NOW + 60, snapshot=snapshot(waiting=4))
    assert cycle.condition("Ready")["lastTransitionTime"] == since
    await cycle.write(NOW + 90, redis_problem=AWAY)
    assert cycle.condition("Ready")["lastTransitionTime"] != since


async def test_scaling_is_told_once_after_the_write(cycle: Cycle) -> None:
    await cycle.write(before=0, deployment=deployment(cycle.job, 0), snapshot=None)
    await cycle.write(NOW + 1, before=0)
    assert [(one["from"], one["to"]) for one in cycle.status["scaling"]["changes"]] == [(0, 3)]
    scaled = [event for event in cycle.events if event[1] == "ScaledUp"]
    assert scaled == [("Normal", "ScaledUp", "0 to 3 replicas: backlog 3 at 1 per replica")]
    assert cycle.metrics.scalings.labels(*KEY, "up")._value.get() == 1


async def test_scaling_down_is_told_as_such(cycle: Cycle) -> None:
    await cycle.write(before=3, deployment=deployment(cycle.job, 0), snapshot=snapshot())
    assert "ScaledDown" in [reason for _, reason, _ in cycle.events]
    assert cycle.metrics.scalings.labels(*KEY, "down")._value.get() == 1


async def test_starting_is_not_worth_an_event(cycle: Cycle) -> None:
    await cycle.write(snapshot=None)
    assert cycle.condition("Ready")["status"] == "Unknown"
    assert cycle.events == []


async def test_the_same_trouble_is_one_event(cycle: Cycle) -> None:
    for second in range(50):
        await cycle.write(NOW + second, redis_problem=AWAY, snapshot=snapshot(waiting=second))
    assert len(cycle.events) == 1


async def test_an_event_that_cannot_be_written_does_not_repeat_the_cycle(cycle: Cycle) -> None:
    def refuses(method: str, plural: str, body: Any) -> KubernetesError | None:
        return KubernetesError(403, "events is forbidden") if plural == "events" else None

    cycle.api.refuses = refuses
    assert await cycle.write() is None
    assert cycle.status["backlog"] == 3
    await cycle.write(NOW + 1)
    assert cycle.writes == 1


async def test_no_event_tells_what_the_status_does_not_say_yet(cycle: Cycle) -> None:
    with cycle.api.away(), pytest.raises(KubernetesError):
        await cycle.write()
    assert cycle.events == []
    await cycle.write(NOW + 1)
    assert cycle.status["backlog"] == 3
    assert [reason for _, reason, _ in cycle.events] == ["Scaling"]


async def test_a_scaling_is_told_though_the_write_after_it_failed(cycle: Cycle) -> None:
    await cycle.write(before=0, deployment=deployment(cycle.job, 0), snapshot=None)
    with cycle.api.away(), pytest.raises(KubernetesError):
        await cycle.write(NOW + 1, before=0)
    await cycle.write(NOW + 2)
    await cycle.write(NOW + 3)
    assert [reason for _, reason, _ in cycle.events] == ["Scaling", "ScaledUp"]
    assert cycle.events[-1][2].startswith("0 to 3 replicas")


async def test_events_of_one_second_have_names_in_their_order(cycle: Cycle) -> None:
    """By which kubectl describe sorts those of the same time."""
    await cycle.write(before=0)
    await cycle.write(redis_problem=AWAY)
    await cycle.write()
    events = cycle.api.all("events")
    assert len(events) == 4
    by_name = sorted(events, key=lambda event: event["metadata"]["name"])
    assert [event["reason"] for event in by_name] == [event["reason"] for event in events]


async def test_a_queuejob_that_is_gone_by_now_is_no_failure(cycle: Cycle) -> None:
    cycle.api.remove(QUEUEJOBS, *KEY)
    assert await cycle.write() is None
    assert cycle.events == []


async def test_a_wait_to_shrink_is_kept_between_cycles_and_by_a_new_leader(cycle: Cycle) -> None:
    await cycle.write(snapshot=snapshot())
    wait = ScaleIn(NOW, 0)
    assert cycle.writer.scale_in(KEY, cycle.job) == wait

    successor = StatusWriter(cycle.api, OperatorMetrics())
    inherited = QueueJob.parse(cycle.api.look(QUEUEJOBS, *KEY))
    assert successor.scale_in(KEY, inherited) == wait


async def test_a_new_leader_does_not_write_what_stands_there(cycle: Cycle) -> None:
    await cycle.write(before=0)
    inherited = QueueJob.parse(cycle.api.look(QUEUEJOBS, *KEY))
    successor = StatusWriter(cycle.api, OperatorMetrics())
    observed = replace(cycle.observed(), job=inherited)
    later = NOW + 30
    assert await successor.write(KEY, observed, cycle.plan(observed, later), 3, later) is None
    assert cycle.writes == 1


async def test_another_queuejob_of_the_same_name_inherits_nothing(cycle: Cycle) -> None:
    await cycle.write(snapshot=snapshot())
    assert cycle.writer.scale_in(KEY, job(uid="uid-2")) is None


BAD = InvalidQueueJob(("spec.concurrency should be greater than 0, but is 0",))


async def test_a_queuejob_that_does_not_parse_is_told_once(cycle: Cycle) -> None:
    for _ in range(3):
        await cycle.writer.report_invalid(KEY, "uid-1", 1, BAD, NOW)
    assert cycle.writes == 1
    ready = cycle.condition("Ready")
    assert (ready["status"], ready["reason"], ready["observedGeneration"]) == ("False", "Invalid", 1)
    assert "spec.concurrency should be greater than 0" in ready["message"]


@pytest.mark.parametrize(("uid", "generation"), [("uid-1", 2), ("uid-2", 1)], ids=["spec", "queuejob"])
async def test_the_same_mistake_in_another_one_is_told_again(cycle: Cycle, uid: str, generation: int) -> None:
    await cycle.writer.report_invalid(KEY, "uid-1", 1, BAD, NOW)
    await cycle.writer.report_invalid(KEY, uid, generation, BAD, NOW)
    assert cycle.writes == 2
    assert cycle.condition("Ready")["observedGeneration"] == generation


async def test_a_mistake_leaves_the_numbers_and_its_end_is_told(cycle: Cycle) -> None:
    await cycle.write()
    await cycle.writer.report_invalid(KEY, "uid-1", 2, BAD, NOW + 1)
    assert cycle.status["backlog"] == 3
    await cycle.write(NOW + 2)
    assert cycle.condition("Ready")["status"] == "True"


async def test_its_end_is_told_even_if_the_watch_brought_an_older_status(cycle: Cycle) -> None:
    """It was mended while the report of the mistake was on its way: what the watch brought looks fine."""
    await cycle.write()
    cycle.job = QueueJob.parse(cycle.api.look(QUEUEJOBS, *KEY))
    await cycle.writer.report_invalid(KEY, "uid-1", 2, BAD, NOW + 1)
    await cycle.write(NOW + 2)
    assert cycle.condition("Ready")["status"] == "True"


async def test_a_mistake_in_one_that_is_gone_is_no_failure(cycle: Cycle) -> None:
    cycle.api.remove(QUEUEJOBS, *KEY)
    await cycle.writer.report_invalid(KEY, "uid-1", 1, BAD, NOW)
