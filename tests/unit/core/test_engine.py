"""Who scales a QueueJob, and what an HPA is told. Needs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bullherd.api import ConditionStatus, Engine, QueueJob
from bullherd.core.autoscaler import AutoscalerState, autoscaler_manifest
from bullherd.core.budget import Grant
from bullherd.core.engine import AUTOSCALER_ACTIVE, ExternalMetrics, MetricsOwner, choose_engine
from bullherd.core.findings import SCALING_LIMITED
from bullherd.core.hold import HOLD_ANNOTATION
from bullherd.core.manifests import fingerprint_of
from bullherd.core.observed import Observed
from bullherd.core.pods import PodState
from bullherd.core.reconcile import Plan, decide
from bullherd.core.scaling import ScaleIn
from tests.unit.builders import NOW, PREFIX, body, connection, deployment, job, snapshot

MINE = job(scaling={"engine": "HPA"})
DIRECT = job(scaling={"engine": "Direct"})
OURS = ExternalMetrics(MetricsOwner.OURS)
TARGET = "Deployment/emails"


def live(**fields: Any) -> AutoscalerState:
    """The HPA that Bullherd made of ``MINE``, between 1 and 10."""
    plain: dict[str, Any] = {
        "uid": "uid-hpa",
        "owner_uid": MINE.metadata.uid,
        "fingerprint": fingerprint_of(autoscaler_manifest(MINE, 1, 10)),
        "target": TARGET,
        "most": 10,
    }
    return AutoscalerState(**plain | fields)


@dataclass(frozen=True)
class Choice:
    """``keeps``: whether there is to be an HPA, None for leaving alone what there is."""

    name: str
    engine: Engine
    keeps: bool | None
    reason: str | None = None
    says: str = ""
    job: QueueJob = MINE
    metrics: ExternalMetrics = OURS
    live: AutoscalerState | None = field(default_factory=live)
    refusal: str | None = None

    def __str__(self) -> str:
        return self.name


HPA, BY_ITSELF = Engine.HPA, Engine.DIRECT

CHOICES = [
    Choice("an HPA that works", HPA, True, "Scaling"),
    Choice("an HPA that is to be made", HPA, True, "Scaling", live=None),
    Choice("Direct was asked for", BY_ITSELF, False, job=DIRECT),
    Choice("Direct was asked for and there is no HPA", BY_ITSELF, None, job=DIRECT, live=None),
    Choice("Direct leaves a stranger's HPA alone", BY_ITSELF, None, job=DIRECT, live=live(owner_uid="x")),
    Choice("the metrics are another's", BY_ITSELF, False, "ExternalMetricsNotOurs", "leads to keda",
           metrics=ExternalMetrics(MetricsOwner.STRANGER, "It leads to keda.")),
    Choice("nobody serves metrics", BY_ITSELF, None, "ExternalMetricsMissing", live=None,
           metrics=ExternalMetrics(MetricsOwner.NOBODY)),
    Choice("our server is away: the HPA stays and rests", BY_ITSELF, True, "MetricsUnavailable",
           "connection refused", metrics=ExternalMetrics(MetricsOwner.UNAVAILABLE, "connection refused.")),
    Choice("an HPA that gets no metrics changes nothing", BY_ITSELF, True, "MetricsUnavailable",
           "unable to get external metric", live=live(trouble="unable to get external metric")),
    Choice("it is not known who serves metrics: an HPA goes on", HPA, None, "Starting",
           metrics=ExternalMetrics(MetricsOwner.UNKNOWN)),
    Choice("it is not known who serves metrics: none is made", BY_ITSELF, None, "Starting", live=None,
           metrics=ExternalMetrics(MetricsOwner.UNKNOWN)),
    Choice("nobody's HPA for our Deployment is taken over", HPA, True, "Scaling", live=live(owner_uid=None)),
    Choice("nobody's HPA for something else is not", BY_ITSELF, None, "AutoscalerNotOurs",
           "for Deployment/web", live=live(owner_uid=None, target="Deployment/web")),
    Choice("an HPA of another owner is not", BY_ITSELF, None, "AutoscalerNotOurs", "shop/emails",
           live=live(owner_uid="uid-9")),
    Choice("the API server refuses a new HPA", BY_ITSELF, True, "AutoscalerRejected", "policies: Required",
           live=None, refusal="spec.behavior.scaleUp.policies: Required value"),
    Choice("it refuses a change: the HPA goes on as it was", HPA, True, "AutoscalerRejected", "every 30 s",
           refusal="no"),
]  # fmt: skip


@pytest.mark.parametrize("row", CHOICES, ids=str)
def test_choice(row: Choice) -> None:
    choice = choose_engine(row.job, row.metrics, row.live, row.refusal)
    assert (choice.engine, choice.autoscaler) == (row.engine, row.keeps)
    assert (choice.finding.reason if choice.finding else None) == row.reason
    if choice.finding is not None:
        assert choice.finding.type == AUTOSCALER_ACTIVE
        assert row.says in choice.finding.message
        # A condition that says no must tell who scales meanwhile.
        is_no = choice.finding.status is ConditionStatus.FALSE
        assert is_no == (row.reason not in ("Scaling", "Starting"))


def observed(of: QueueJob = MINE, **fields: Any) -> Observed:
    """Three items, the three replicas that they need, and an HPA as it should be."""
    plain: dict[str, Any] = {
        "connection": connection(),
        "snapshot": snapshot(waiting=3),
        "deployment": deployment(of, 3),
        "external_metrics": OURS,
        "autoscaler": live(),
    }
    return Observed(job=of, **plain | fields)


def plan_of(seen: Observed, now: float = NOW) -> Plan:
    return decide(seen, PREFIX, now)


def bounds(plan: Plan) -> tuple[int, int] | None:
    """What the HPA is told, or None when nothing is."""
    if plan.autoscaler is None:
        return None
    spec = plan.autoscaler["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


LESS = ScaleIn(NOW - 60, 1)


@dataclass(frozen=True)
class Row:
    """``told``: the bounds that are applied, None for none; ``replicas``: what the operator itself writes."""

    name: str
    seen: Observed
    told: tuple[int, int] | None = None
    replicas: int | None = None

    def __str__(self) -> str:
        return self.name


ROWS = [
    Row("all is as wanted: nothing is done", observed()),
    Row("there is no HPA: it is made", observed(autoscaler=None), (1, 10)),
    Row("more is needed: that is the HPA's to see", observed(snapshot=snapshot(waiting=9))),
    Row("from none to as many as are needed is ours",
        observed(deployment=deployment(MINE, 0), snapshot=snapshot(waiting=9)), replicas=9),
    Row("less is needed: the HPA is held", observed(snapshot=snapshot(waiting=1)), (3, 10)),
    Row("less was needed for long enough: the HPA may shrink",
        observed(snapshot=snapshot(waiting=1), scale_in=LESS, busy=0, autoscaler=live(fingerprint="held")),
        (1, 10)),
    Row("but not below busy pods",
        observed(snapshot=snapshot(waiting=1, active=1), scale_in=ScaleIn(NOW - 60, 2), busy=2,
                 deployment=deployment(MINE, 5)), (2, 10)),
    Row("nor before it is known who is busy",
        observed(snapshot=snapshot(active=1), scale_in=LESS, deployment=deployment(MINE, 5)), (5, 10)),
    Row("to none is ours", observed(snapshot=snapshot(), busy=0, scale_in=ScaleIn(NOW - 60, 0)), None, 0),
    Row("Redis is away: the HPA stays as it is",
        observed(redis_problem="away", autoscaler=live(fingerprint="held"))),
    Row("the queue was not read yet: the HPA stays as it is",
        observed(snapshot=None, autoscaler=live(fingerprint="held"))),
    Row("Redis is away and there is no HPA: it is made",
        observed(redis_problem="away", autoscaler=None), (3, 10)),
    Row("a budget is the HPA's maximum",
        observed(snapshot=snapshot(waiting=9), grant=Grant(5, 5, "needs 9")), (1, 5)),
    Row("pods without a node are enough for now",
        observed(snapshot=snapshot(waiting=9), pods=(PodState("a", "Unschedulable"),)), (1, 3)),
    Row("a maximum is never below the minimum",
        observed(snapshot=snapshot(waiting=2, active=2), grant=Grant(0, 0, "none"), busy=2), (2, 2)),
    Row("our server is away: the operator scales, and the HPA stays",
        observed(snapshot=snapshot(waiting=9), external_metrics=ExternalMetrics(MetricsOwner.UNAVAILABLE)),
        replicas=9),
    Row("a refused HPA is not asked for again", observed(autoscaler=None, autoscaler_refusal="no")),
    Row("a refresh applies what seems to be there", observed(refresh=True), (1, 10)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_plan(row: Row) -> None:
    plan = plan_of(row.seen)
    assert bounds(plan) == row.told
    assert plan.replicas == row.replicas
    assert not plan.remove_autoscaler


def test_the_hpa_divides_the_backlog() -> None:
    manifest = autoscaler_manifest(job(concurrency=5, scaling={"engine": "HPA", "maxReplicas": 40}), 1, 40)
    (metric,) = manifest["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] == "bullherd_queue_backlog"
    assert metric["external"]["metric"]["selector"] == {"matchLabels": {"queuejob": "emails"}}
    assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "5"}
    behavior = manifest["spec"]["behavior"]
    assert behavior["scaleUp"]["policies"] == [{"type": "Pods", "value": 40, "periodSeconds": 15}]


def test_what_a_user_says_about_the_hpa_is_handed_on() -> None:
    cpu = {"type": "Resource", "resource": {"name": "cpu"}}
    slow = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    manifest = autoscaler_manifest(
        job(scaling={"engine": "HPA", "behavior": slow, "extraMetrics": [cpu]}), 1, 9
    )
    assert manifest["spec"]["metrics"][1] == cpu
    assert manifest["spec"]["behavior"]["scaleDown"] == {"stabilizationWindowSeconds": 600}
    assert "scaleUp" in manifest["spec"]["behavior"]


def test_a_rate_of_growth_is_the_hpas_too() -> None:
    manifest = autoscaler_manifest(
        job(scaling={"engine": "HPA", "maxScaleUpPerSecond": 2, "maxReplicas": 99}), 1, 99
    )
    assert manifest["spec"]["behavior"]["scaleUp"]["policies"][0]["value"] == 30


@pytest.mark.parametrize("engine", ["HPA", "Direct"])
def test_changing_the_engine_under_load_changes_no_replicas(engine: str) -> None:
    """Busy, waiting to shrink: each takes over where the other was."""
    changed = job(scaling={"engine": engine})
    seen = observed(changed, deployment=deployment(changed, 7), snapshot=snapshot(active=2), scale_in=LESS,
                    busy=7, autoscaler=live() if engine == "Direct" else None)  # fmt: skip
    plan = plan_of(seen)
    assert plan.replicas is None
    assert plan.remove_autoscaler == (engine == "Direct")
    assert bounds(plan) == ((7, 10) if engine == "HPA" else None)


def held(until: str) -> QueueJob:
    whole = body(scaling={"engine": "HPA"})
    whole["metadata"]["annotations"] = {HOLD_ANNOTATION: until}
    return QueueJob.parse(whole)


def test_replicas_set_by_hand_are_kept_while_they_are_held() -> None:
    until_soon = held("2027-01-15T08:01:00Z")
    plan = plan_of(observed(until_soon, snapshot=snapshot(waiting=9)))
    assert (plan.replicas, plan.autoscaler, plan.remove_autoscaler) == (None, None, True)
    assert plan.desired_replicas == 3
    assert plan.requeue_after == 60.0
    assert "held by hand until 2027-01-15T08:01:00Z" in plan.reason


def test_a_hold_ends_by_itself() -> None:
    plan = plan_of(observed(held("2027-01-15T09:00:00+01:00"), autoscaler=None))
    assert plan.autoscaler is not None
    assert "held" not in plan.reason


@pytest.mark.parametrize("until", ["soon", "", "2027-01-15T08:01:00"])
def test_a_hold_that_cannot_be_read_holds_and_says_so(until: str) -> None:
    plan = plan_of(observed(held(until), snapshot=snapshot(waiting=9)))
    assert (plan.replicas, plan.autoscaler) == (None, None)
    assert (plan.findings[0].reason, repr(until) in plan.findings[0].message) == ("HoldUnreadable", True)


def finding(plan: Plan, type_: str) -> tuple[ConditionStatus, str, str]:
    (found,) = (finding for finding in plan.findings if finding.type == type_)
    return found.status, found.reason, found.message


def test_pods_without_a_node_are_told() -> None:
    homeless = PodState("a", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.")
    plan = plan_of(observed(snapshot=snapshot(waiting=9), pods=(homeless, PodState("b"), PodState("c"))))
    status, reason, message = finding(plan, SCALING_LIMITED)
    assert (status, reason) == (ConditionStatus.TRUE, "Unschedulable")
    assert "1 of 3 worker pods find no node" in message
    assert "Insufficient cpu" in message


def test_a_queue_that_has_what_it_can_use_is_not_limited() -> None:
    assert finding(plan_of(observed()), SCALING_LIMITED)[:2] == (ConditionStatus.FALSE, "NotLimited")


def test_a_queue_that_is_not_in_redis_is_told() -> None:
    plan = plan_of(observed(snapshot=snapshot(exists=False)))
    status, reason, message = finding(plan, "QueueFound")
    assert (status, reason) == (ConditionStatus.FALSE, "QueueNotFound")
    assert "bull:emails" in message
    assert "redis.example:6379/0" in message


MIXED = [
    ("set aside by version 5 and left waiting by 6", {"waiting": 3, "paused_list": 2}, True),
    ("paused by version 6 in an app of 5", {"waiting": 3, "bullmq_version": "5.81.5"}, True),
    ("paused by version 6 in an app of 6", {"waiting": 3, "bullmq_version": "6.2.0"}, False),
    ("paused by version 5", {"paused_list": 3, "bullmq_version": "5.81.5"}, False),
    ("not paused any more", {"waiting": 3, "paused_list": 2, "paused": False}, False),
]


@pytest.mark.parametrize(("name", "counts", "mixed"), MIXED, ids=[row[0] for row in MIXED])
def test_a_pause_by_two_versions_is_refused(name: str, counts: dict[str, Any], mixed: bool) -> None:
    plan = plan_of(observed(snapshot=snapshot(**{"paused": True} | counts)))
    assert (plan.findings[0].reason == "MixedPause") == mixed, name
    if mixed:
        assert plan.desired_replicas == 3
        assert "those 3 items are lost" in plan.findings[0].message


def test_a_floor_is_looked_at_when_it_begins() -> None:
    """The 15th of January 2027, 8 o'clock UTC."""
    rush = {"schedule": "10 8 * * *", "duration": "1h", "minReplicas": 4}
    seen = observed(job(scaling={"engine": "HPA", "floors": [rush]}))
    before, during = plan_of(seen), plan_of(seen, NOW + 600)
    assert before.requeue_after == 600.0
    assert bounds(during) == (4, 10)
    assert during.desired_replicas == 4
