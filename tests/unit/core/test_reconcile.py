"""What is done about one QueueJob, for everything that can be observed of it. Needs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bullherd.api import ConditionStatus
from bullherd.core.claims import QueueClaim, ServedQueue
from bullherd.core.connection import ConnectionProblem
from bullherd.core.deployment import worker_deployment
from bullherd.core.findings import READY, REDIS_REACHABLE
from bullherd.core.manifests import fingerprint_of
from bullherd.core.observed import Observed, Refusal
from bullherd.core.policy import ScalingPolicy, policy_of
from bullherd.core.reconcile import Plan, decide
from bullherd.core.scaling import ScaleIn
from bullherd.core.snapshot import QueueKey
from tests.unit.builders import NOW, PREFIX, connection, deployment, job, snapshot

MINE = job()
MANIFEST = worker_deployment(MINE, connection(), PREFIX)
WANTED = fingerprint_of(MANIFEST)
ELDER = QueueClaim(
    "mail", "elder", "uid-0", 0.0, ServedQueue("redis.example:6379/0", QueueKey("bull", "emails"))
)
WAIT = ScaleIn(NOW - 30, 0)
AWAY = "Redis at redis.example:6379/0 cannot be used: it is away."
UNKNOWN_CONNECTION = ConnectionProblem("ConnectionUnknown", "There is no connection 'x'.")


def observed(**fields: Any) -> Observed:
    """Three items, and the three replicas that they need."""
    plain: dict[str, Any] = {
        "connection": connection(),
        "snapshot": snapshot(waiting=3),
        "deployment": deployment(MINE, 3),
    }
    return Observed(job=MINE, **plain | fields)


def plan_of(seen: Observed) -> Plan:
    return decide(seen, PREFIX, NOW)


@dataclass(frozen=True)
class Row:
    """``applies``: whether the manifest is; ``replicas``: what is written, None when nothing is."""

    name: str
    seen: Observed
    applies: bool = False
    replicas: int | None = None
    desired: int = 3

    def __str__(self) -> str:
        return self.name


DEPLOYMENTS = [
    Row("all is as wanted: nothing is done", observed()),
    Row("there is no Deployment: it is made, with its replicas", observed(deployment=None), True, 3),
    Row(
        "there is no Deployment and nothing to do: it is made with no replicas",
        observed(deployment=None, snapshot=snapshot()),
        True,
        0,
        0,
    ),
    Row(
        "there is no Deployment and Redis is away: it is made with no replicas",
        observed(deployment=None, snapshot=None, redis_problem=AWAY),
        True,
        0,
        0,
    ),
    Row(
        "more is needed: only the replicas are written",
        observed(snapshot=snapshot(waiting=7)),
        replicas=7,
        desired=7,
    ),
    Row("less is needed: nothing is written before the cooldown", observed(snapshot=snapshot())),
    Row(
        "less was needed for the cooldown: the replicas are written",
        observed(snapshot=snapshot(), busy=0, scale_in=ScaleIn(NOW - 60, 0)),
        replicas=0,
        desired=0,
    ),
    Row(
        "the template changed: only the template is applied",
        observed(deployment=deployment(MINE, 3, fingerprint="old")),
        True,
    ),
    Row(
        "a Deployment without a fingerprint is brought to the template",
        observed(deployment=deployment(MINE, 3, fingerprint=None)),
        True,
    ),
    Row(
        "template and need changed: both are written",
        observed(deployment=deployment(MINE, 3, fingerprint="old"), snapshot=snapshot(waiting=7)),
        True,
        7,
        7,
    ),
    Row(
        "the template is applied while nobody owns the replicas: they are written, too",
        observed(deployment=deployment(MINE, 3, fingerprint="old", scaling_owned=False)),
        True,
        3,
    ),
    Row(
        "nobody owns the replicas but nothing is applied: they are left alone",
        observed(deployment=deployment(MINE, 3, scaling_owned=False)),
    ),
    Row("a refresh applies what seems to be there", observed(refresh=True), True),
    Row(
        "a refresh while nobody owns the replicas writes them, too",
        observed(refresh=True, deployment=deployment(MINE, 3, scaling_owned=False)),
        True,
        3,
    ),
    Row(
        "a refused template is not applied again",
        observed(deployment=deployment(MINE, 3, fingerprint="old"), template_refusal=Refusal(WANTED, "no")),
    ),
    Row(
        "not even for a refresh",
        observed(refresh=True, template_refusal=Refusal(WANTED, "no")),
    ),
    Row(
        "the old Deployment of a refused template is still scaled",
        observed(
            deployment=deployment(MINE, 3, fingerprint="old"),
            template_refusal=Refusal(WANTED, "no"),
            snapshot=snapshot(waiting=7),
        ),
        replicas=7,
        desired=7,
    ),
    Row(
        "a refused template without a Deployment leaves nothing to write",
        observed(deployment=None, template_refusal=Refusal(WANTED, "no")),
    ),
    Row(
        "a template mended after it was refused is applied",
        observed(deployment=deployment(MINE, 3, fingerprint="old"), template_refusal=Refusal("broken", "no")),
        True,
    ),
    Row(
        "Redis is away: the replicas are held",
        observed(redis_problem=AWAY, snapshot=snapshot(waiting=99)),
    ),
    Row("the queue was not read yet: the replicas are held", observed(snapshot=None)),
    Row(
        "Redis is away: a new template is applied all the same",
        observed(redis_problem=AWAY, deployment=deployment(MINE, 3, fingerprint="old")),
        True,
    ),
    Row(
        "no connection: what runs is left alone",
        observed(connection=UNKNOWN_CONNECTION, deployment=deployment(MINE, 3, fingerprint="old")),
    ),
    Row(
        "no connection and no Deployment: none is made",
        observed(connection=UNKNOWN_CONNECTION, deployment=None),
        desired=0,
    ),
    Row("an elder has the queue: our workers go", observed(rival=ELDER), replicas=0, desired=0),
    Row(
        "an elder has the queue and our workers are gone: nothing is written",
        observed(rival=ELDER, deployment=deployment(MINE, 0)),
        desired=0,
    ),
    Row("an elder has the queue: nothing is made", observed(rival=ELDER, deployment=None), desired=0),
    Row(
        "an elder has the queue: a stranger's Deployment is left alone",
        observed(rival=ELDER, deployment=deployment(MINE, 3, owner_uid=None)),
        desired=0,
    ),
    Row(
        "nobody's Deployment of our name is left alone",
        observed(deployment=deployment(MINE, 3, owner_uid=None, fingerprint=None)),
        desired=0,
    ),
    Row(
        "the Deployment of a QueueJob of our name that was deleted is left alone",
        observed(deployment=deployment(MINE, 3, owner_uid="uid-0"), snapshot=snapshot(waiting=9)),
        desired=0,
    ),
]


@pytest.mark.parametrize("row", DEPLOYMENTS, ids=str)
def test_deployment(row: Row) -> None:
    plan = plan_of(row.seen)
    assert (plan.manifest == MANIFEST) if row.applies else plan.manifest is None
    assert plan.replicas == row.replicas
    assert plan.desired_replicas == row.desired


TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True)
class Said:
    """What two of the conditions say. ``words`` are in the message of Ready."""

    name: str
    seen: Observed
    ready: tuple[ConditionStatus, str]
    reachable: tuple[ConditionStatus, str]
    words: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name


CONDITIONS = [
    Said("all is well", observed(), (TRUE, "Scaling"), (TRUE, "Read")),
    Said(
        "the queue was not read yet",
        observed(snapshot=None),
        (UNKNOWN, "Starting"),
        (UNKNOWN, "Starting"),
    ),
    Said(
        "Redis is away and was never read",
        observed(snapshot=None, redis_problem=AWAY),
        (FALSE, "QueueUnreadable"),
        (FALSE, "ReadFailed"),
        (AWAY, "replicas are held"),
    ),
    Said(
        "Redis went away",
        observed(redis_problem=AWAY),
        (FALSE, "QueueUnreadable"),
        (FALSE, "ReadFailed"),
        (AWAY,),
    ),
    Said(
        "the connection is unknown",
        observed(connection=UNKNOWN_CONNECTION),
        (FALSE, "ConnectionUnknown"),
        (UNKNOWN, "ConnectionUnknown"),
        ("There is no connection 'x'.",),
    ),
    Said(
        "an elder has the queue",
        observed(rival=ELDER),
        (FALSE, "QueueTaken"),
        (UNKNOWN, "QueueTaken"),
        ("bull:emails", "mail/elder", "Delete one of the two"),
    ),
    Said(
        "a Deployment of our name was made by others",
        observed(deployment=deployment(MINE, 1, owner_uid=None)),
        (FALSE, "DeploymentNotOurs"),
        (UNKNOWN, "DeploymentNotOurs"),
        ("shop/emails", "not made by Bullherd", "Rename this QueueJob"),
    ),
    Said(
        "a Deployment of our name belongs to a QueueJob that is gone",
        observed(deployment=deployment(MINE, 1, owner_uid="uid-0")),
        (FALSE, "DeploymentNotOurs"),
        (UNKNOWN, "DeploymentNotOurs"),
        ("uid-0", "as soon as that Deployment is gone"),
    ),
    Said(
        "the template is refused",
        observed(template_refusal=Refusal(WANTED, "spec.containers[0].image: Required")),
        (FALSE, "TemplateRejected"),
        (TRUE, "Read"),
        ("spec.containers[0].image: Required", "Mend what it names: spec.template, or else a quota"),
    ),
    Said(
        "the template is refused and Redis is away: the template first, Redis has its own condition",
        observed(template_refusal=Refusal(WANTED, "no"), redis_problem=AWAY),
        (FALSE, "TemplateRejected"),
        (FALSE, "ReadFailed"),
    ),
    Said(
        "another template was refused",
        observed(template_refusal=Refusal("older", "no")),
        (TRUE, "Scaling"),
        (TRUE, "Read"),
    ),
    Said(
        "the pods do not start",
        observed(deployment=deployment(MINE, 3, problem="The workers' pods do not start: quota.")),
        (FALSE, "PodsNotStarting"),
        (TRUE, "Read"),
        ("quota",),
    ),
]


@pytest.mark.parametrize("said", CONDITIONS, ids=str)
def test_conditions(said: Said) -> None:
    findings = {finding.type: finding for finding in plan_of(said.seen).findings}
    ready, reachable = findings[READY], findings[REDIS_REACHABLE]
    assert (ready.status, ready.reason) == said.ready
    assert (reachable.status, reachable.reason) == said.reachable
    for words in said.words:
        assert words in ready.message
    assert ready.message.endswith(".")
    assert reachable.message.endswith(".")


ORDER = [
    ("the connection comes before the elder", {"connection": UNKNOWN_CONNECTION, "rival": ELDER},
     "ConnectionUnknown"),
    ("the elder comes before the stranger",
     {"rival": ELDER, "deployment": deployment(MINE, 1, owner_uid=None)}, "QueueTaken"),
    ("the stranger comes before Redis",
     {"deployment": deployment(MINE, 1, owner_uid=None), "redis_problem": AWAY}, "DeploymentNotOurs"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "reason"), ORDER, ids=[row[0] for row in ORDER])
def test_the_first_obstacle_is_told(name: str, fields: Mapping[str, Any], reason: str) -> None:
    assert plan_of(observed(**fields)).findings[0].reason == reason, name


HELD = [
    ("the connection is unknown", {"connection": UNKNOWN_CONNECTION}),
    ("a stranger has our name", {"deployment": deployment(MINE, 3, owner_uid=None)}),
    ("Redis is away", {"redis_problem": AWAY}),
    ("a new operator has not read the queue yet", {"snapshot": None}),
]


@pytest.mark.parametrize(("name", "fields"), HELD, ids=[row[0] for row in HELD])
def test_a_wait_to_shrink_outlives(name: str, fields: Mapping[str, Any]) -> None:
    assert plan_of(observed(scale_in=WAIT, **fields)).scale_in == WAIT, name


def test_a_wait_to_shrink_ends_when_an_elder_takes_the_queue() -> None:
    assert plan_of(observed(scale_in=WAIT, rival=ELDER)).scale_in is None


def test_a_cooldown_asks_to_be_looked_at_when_it_ends() -> None:
    assert plan_of(observed(snapshot=snapshot(), scale_in=WAIT)).requeue_after == 30


def test_a_strangers_deployment_is_looked_at_again_soon() -> None:
    seen = observed(deployment=deployment(MINE, 1, owner_uid="uid-0"))
    assert plan_of(seen).requeue_after == 5


def test_a_missing_connection_is_looked_for_again_soon() -> None:
    """A Secret that comes later is told by no watch."""
    assert plan_of(observed(connection=UNKNOWN_CONNECTION)).requeue_after == 15


def test_the_policy_is_the_specs() -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 20, "itemsPerReplica": 7, "cooldownSeconds": 5}
    assert policy_of(job(concurrency=3, scaling=scaling)) == ScalingPolicy(1, 20, 7, 3, 5, 5)


def test_without_items_per_replica_a_replica_has_as_many_as_it_works_on_at_once() -> None:
    assert policy_of(job(concurrency=3)).items_per_replica == 3


def test_the_same_look_gives_the_same_plan() -> None:
    seen = observed(deployment=None)
    assert plan_of(seen) == plan_of(replace(seen))
