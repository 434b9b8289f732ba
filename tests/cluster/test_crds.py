"""The CRD as a real API server takes it. Needs the cluster of `make cluster`.

The CRD is installed here under a group of its own, so that the tests neither touch the QueueJobs of a
Bullherd that runs in the same cluster nor depend on the version of its CRD. No operator knows the group: what
a test writes stays as it is.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from bullherd.api import (
    Condition,
    ConditionStatus,
    QueueCounts,
    QueueJob,
    QueueJobStatus,
    ScaleIn,
    ScalingChange,
    ScalingStatus,
    crds,
    reference,
)
from tests.cluster.kubectl import Kubectl
from tests.unit.api.cases import (
    ACCEPTED,
    REFUSED,
    REFUSED_BY_THE_SERVER_ALONE,
    Accepted,
    Refused,
    queuejob,
)

pytestmark = pytest.mark.cluster

GROUP = "crd-test.bullherd.dev"
RESOURCE = f"queuejobs.{GROUP}"

Body = dict[str, Any]


@pytest.fixture(scope="module")
def kubectl(cluster: Any) -> Kubectl:
    """kubectl for the cluster of the tests."""
    return Kubectl(cluster.kubeconfig)


@pytest.fixture
def place(kubectl: Kubectl) -> Iterator[str]:
    """The name of a fresh namespace."""
    name = f"bullherd-test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def crd(kubectl: Kubectl) -> Iterator[Body]:
    """The CRD under the tests' own group, established; what the API server says of it."""
    definition = crds.definition()
    definition["metadata"]["name"] = RESOURCE
    definition["spec"]["group"] = GROUP
    kubectl("delete", "crd", RESOURCE, "--ignore-not-found")
    kubectl("create", "-f", "-", stdin=json.dumps(definition))
    try:
        kubectl("wait", "--for=condition=Established", f"crd/{RESOURCE}", "--timeout=30s")
        yield json.loads(kubectl("get", "crd", RESOURCE, "-o", "json"))
    finally:
        kubectl("delete", "crd", RESOURCE)


def in_group(body: Mapping[str, Any], place: str = "default") -> str:
    """A case's body as one of the tests' own group, in a namespace."""
    metadata = body["metadata"] | {"namespace": place}
    return json.dumps({**body, "apiVersion": f"{GROUP}/v1alpha1", "metadata": metadata})


def test_is_established_and_structural(crd: Body) -> None:
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_nothing_of_the_schema_was_lost(crd: Body) -> None:
    (version,) = crd["spec"]["versions"]
    (meant,) = crds.definition()["spec"]["versions"]
    assert version["schema"] == meant["schema"]
    assert version["additionalPrinterColumns"] == meant["additionalPrinterColumns"]
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_accepts(case: Accepted, crd: Body, kubectl: Kubectl) -> None:
    written = json.loads(
        kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=in_group(case.body))
    )
    filled_in, by_itself = QueueJob.parse(written), QueueJob.parse(case.body)
    assert filled_in.spec == by_itself.spec, "the API server's defaults differ from the parser's"
    assert written["spec"]["template"]["spec"] == case.body["spec"]["template"]["spec"]


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_BY_THE_SERVER_ALONE], ids=str)
def test_refuses(case: Refused, crd: Body, kubectl: Kubectl) -> None:
    answer = kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=in_group(case.body))
    assert "is invalid" in answer
    assert case.path in answer
    assert case.words in answer


def test_tells_of_a_field_that_does_not_exist(crd: Body, kubectl: Kubectl) -> None:
    body = queuejob(scaling={"maxReplica": 3})
    answer = kubectl.refused("create", "--dry-run=server", "-f", "-", stdin=in_group(body))
    assert 'unknown field "spec.scaling.maxReplica"' in answer


@pytest.mark.parametrize(
    ("before", "after"),
    [({"name": "a"}, {"name": "b"}), ({"name": "a"}, {"name": "a", "prefix": "shop"})],
    ids=["another name", "another prefix"],
)
def test_the_queue_cannot_be_changed(
    before: Body, after: Body, crd: Body, kubectl: Kubectl, place: str
) -> None:
    kubectl("create", "-f", "-", stdin=in_group(queuejob(queue=before), place))
    answer = kubectl.refused("replace", "-f", "-", stdin=in_group(queuejob(queue=after), place))
    assert "the queue of a QueueJob cannot be changed" in answer
    kubectl("replace", "-f", "-", stdin=in_group(queuejob(queue=before, concurrency=2), place))


@pytest.mark.parametrize("name", reference.EXAMPLES)
def test_accepts_the_examples_of_the_page(name: str, crd: Body, kubectl: Kubectl) -> None:
    kubectl("create", "--dry-run=server", "-f", "-", stdin=in_group(yaml.safe_load(reference.example(name))))


MOMENT = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)

STATUS = QueueJobStatus(
    observed_generation=1,
    backlog=42,
    counts=QueueCounts(**{name: 10 + at for at, name in enumerate(QueueCounts.model_fields)}),
    replicas=9,
    ready_replicas=8,
    scaling=ScalingStatus(
        engine="HPA",
        desired_replicas=7,
        reason="backlog 42 at 5 per replica",
        scale_in=ScaleIn(since=MOMENT.replace(microsecond=250_000), peak=5),
        changes=(ScalingChange(time=MOMENT, from_=3, to=7, reason="backlog 42 at 5 per replica"),),
    ),
    oldest_item_age_seconds=6,
    paused=False,
    snapshot_time=MOMENT,
    bullmq_version="5.81.5",
    conditions=(
        Condition(
            type="Ready",
            status=ConditionStatus.FALSE,
            reason="ConnectionUnknown",
            message="There is no connection named shop. Known: default.",
            last_transition_time=MOMENT,
            observed_generation=1,
        ),
    ),
)


@pytest.fixture
def reported(crd: Body, kubectl: Kubectl, place: str) -> Body:
    """A QueueJob with every field of its status written, as the API server has it afterwards."""
    kubectl("create", "-f", "-", stdin=in_group(queuejob(), place))
    patch = json.dumps({"status": STATUS.to_dict()})
    kubectl("patch", RESOURCE, "emails", "-n", place, "--subresource=status", "--type=merge", "-p", patch)
    body: Body = json.loads(kubectl("get", RESOURCE, "emails", "-n", place, "-o", "json"))
    return body


def test_keeps_every_field_of_the_status(reported: Body) -> None:
    assert all(getattr(STATUS, name) is not None for name in QueueJobStatus.model_fields)
    assert reported["status"] == STATUS.to_dict()
    assert QueueJob.parse(reported).status == STATUS
    assert reported["metadata"]["generation"] == 1


def test_a_status_is_written_through_its_subresource_only(crd: Body, kubectl: Kubectl, place: str) -> None:
    kubectl("create", "-f", "-", stdin=in_group(queuejob() | {"status": {"backlog": 1}}, place))
    body = json.loads(kubectl("get", RESOURCE, "emails", "-n", place, "-o", "json"))
    assert "status" not in body


def table(text: str) -> list[list[str]]:
    """kubectl's columns are two spaces apart at least."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_get_shows_what_matters(reported: Body, kubectl: Kubectl, place: str) -> None:
    heads, values = table(kubectl("get", RESOURCE, "-n", place))
    assert heads == ["NAME", "QUEUE", "MODE", "BACKLOG", "ACTIVE", "FAILED", "REPLICAS", "READY", "AGE"]
    assert values[:-1] == ["emails", "emails", "Workers", "42", "15", "18", "9", "False"]
    assert re.fullmatch(r"\d+s", values[-1])


def test_get_wide_says_why(reported: Body, kubectl: Kubectl, place: str) -> None:
    heads, values = table(kubectl("get", RESOURCE, "-n", place, "-o", "wide"))
    assert heads[9:] == ["PREFIX", "DESIRED", "OLDEST", "SCALING", "MESSAGE"]
    assert values[9:13] == ["bull", "7", "6", "backlog 42 at 5 per replica"]
    assert values[13:] == ["There is no connection named shop. Known: default."]


def test_goes_by_its_names(crd: Body) -> None:
    assert crd["status"]["acceptedNames"] == crds.definition()["spec"]["names"]
    assert crd["status"]["acceptedNames"]["shortNames"] == ["qj"]


def test_is_listed_among_everything(reported: Body, kubectl: Kubectl, place: str) -> None:
    for category in ("all", "bullherd"):
        assert f"queuejob.{GROUP}/emails" in kubectl("get", category, "-n", place, "-o", "name")


def explain(kubectl: Kubectl, path: str) -> str:
    """What `kubectl explain` says, in one line."""
    return " ".join(kubectl("explain", f"queuejob{path}", f"--api-version={GROUP}/v1alpha1").split())


def test_explain_tells_a_stranger_how_scaling_works(crd: Body, kubectl: Kubectl) -> None:
    text = explain(kubectl, ".spec.scaling")
    assert "ceil(backlog / itemsPerReplica), within minReplicas and maxReplicas" in text
    assert "maxReplicas <integer> Most workers at once" in text
    assert "Default: 10. From 1 to 10000." in text
    assert "Default: spec.concurrency." in text
    assert "cooldownSeconds <integer> Seconds that" in text


@pytest.mark.parametrize(
    "path", ["", ".spec", ".spec.queue", ".spec.redis", ".spec.redis.tls", ".spec.template.spec", ".status"]
)
def test_explain_has_words_for_every_field(path: str, crd: Body, kubectl: Kubectl) -> None:
    text = explain(kubectl, path)
    assert "DESCRIPTION:" in text
    assert "<no description>" not in text
    assert "<empty>" not in text
