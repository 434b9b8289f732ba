"""What the parser makes of a QueueJob. Needs nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from bullherd.api import (
    Engine,
    InvalidQueueJob,
    Mode,
    Priority,
    QueueJob,
    RedisSpec,
    ScalingSpec,
)
from tests.unit.api.cases import ACCEPTED, REFUSED, Accepted, Refused, queuejob, with_container, with_pod


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_accepts(case: Accepted) -> None:
    job = QueueJob.parse(case.body)
    assert job.metadata.name == case.body["metadata"]["name"]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refuses(case: Refused) -> None:
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse(case.body)
    (problem,) = caught.value.problems
    assert problem.startswith(case.path)
    assert case.words in problem


def test_says_everything_that_is_wrong_in_one_go() -> None:
    body = queuejob(
        queue={"name": "a b"}, concurrency=0, scaling={"minReplicas": 3, "maxReplicas": 2}, template=None
    )
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse(body)
    assert caught.value.problems == (
        "spec.queue.name: a queue's name is printable ASCII without spaces and ':', "
        "as BullMQ's workers take no other",
        "spec.concurrency should be greater than or equal to 1, but is 0",
        "spec.scaling: minReplicas must not be above maxReplicas",
        "spec.template is missing",
    )
    assert str(caught.value) == "; ".join(caught.value.problems)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "metadata is missing; spec is missing"),
        (queuejob() | {"spec": None}, "spec is missing"),
        (queuejob() | {"spec": []}, "spec should be an object, but is a list of 0"),
        (queuejob(queue="emails"), "spec.queue should be an object, but is 'emails'"),
        (queuejob(priority="Urgent"), "spec.priority should be 'High', 'Medium' or 'Low', but is 'Urgent'"),
        (queuejob(concurrency="many"), "spec.concurrency should be a valid integer, but is 'many'"),
        (with_pod(containers=[]), "spec.template.spec.containers should have at least 1 item, but has 0"),
        (with_container(env="A=1"), "spec.template.spec.containers[0].env should be a list, but is 'A=1'"),
        (
            queuejob(queue={"name": "q" * 300}),
            "spec.queue.name should have at most 253 characters, but has 300",
        ),
    ],
)
def test_sentences(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse(body)
    assert str(caught.value) == sentence


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse(queuejob(priority="x" * 10_000))
    assert len(str(caught.value)) < 200


def test_what_a_template_holds_is_not_repeated() -> None:
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse(with_container(env={"PASSWORD": "hunter2"}))
    assert "hunter2" not in str(caught.value)


def test_pydantic_does_not_show_through() -> None:
    with pytest.raises(InvalidQueueJob) as caught:
        QueueJob.parse({"spec": 1})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert not isinstance(caught.value, ValidationError)


def test_defaults() -> None:
    spec = QueueJob.parse(queuejob()).spec
    assert spec.queue.prefix == "bull"
    assert spec.redis == RedisSpec(connection="default")
    assert (spec.priority, spec.mode, spec.concurrency) == (Priority.MEDIUM, Mode.WORKERS, 1)
    assert spec.scaling == ScalingSpec(
        min_replicas=0, max_replicas=10, items_per_replica=None, engine=Engine.HPA, cooldown_seconds=60
    )


def test_defaults_of_an_inline_redis() -> None:
    redis = QueueJob.parse(
        queuejob(
            redis={"host": "redis", "passwordSecretRef": {"name": "p"}, "tls": {"caSecretRef": {"name": "c"}}}
        )
    ).spec.redis
    assert (redis.port, redis.db, redis.username) == (6379, 0, None)
    assert redis.password_secret_ref is not None
    assert redis.password_secret_ref.key == "password"
    assert redis.tls is not None
    assert redis.tls.enabled
    assert redis.tls.ca_secret_ref is not None
    assert redis.tls.ca_secret_ref.key == "ca.crt"


@pytest.mark.parametrize(
    ("concurrency", "items_per_replica", "effective"), [(1, None, 1), (7, None, 7), (7, 20, 20), (7, 1, 1)]
)
def test_a_replica_is_enough_for_its_concurrency_unless_said_otherwise(
    concurrency: int, items_per_replica: int | None, effective: int
) -> None:
    body = queuejob(concurrency=concurrency, scaling={"itemsPerReplica": items_per_replica})
    assert QueueJob.parse(body).spec.effective_items_per_replica == effective


def test_unknown_fields_are_dropped_but_for_those_of_the_pod() -> None:
    body = with_pod(tomorrow={"x": [1]})
    body["spec"]["later"] = 1
    body["spec"]["queue"]["later"] = 1
    job = QueueJob.parse(body)
    assert "later" not in json.dumps(job.to_dict())
    assert job.spec.template.spec["tomorrow"] == {"x": [1]}


def test_the_pod_is_a_plain_dict_equal_to_what_was_written() -> None:
    body = with_container(env=[{"name": "A", "value": "1"}], resources={"limits": {"cpu": 1}})
    assert QueueJob.parse(body).spec.template.spec == body["spec"]["template"]["spec"]


def test_python_names_mean_nothing_in_a_resource() -> None:
    assert QueueJob.parse(queuejob(scaling={"max_replicas": 3})).spec.scaling.max_replicas == 10


def test_metadata() -> None:
    body = queuejob()
    body["metadata"] |= {
        "uid": "6a1b",
        "generation": 4,
        "creationTimestamp": "2026-11-24T03:00:00Z",
        "deletionTimestamp": "2026-11-24T04:00:00Z",
        "labels": {"team": "a"},
        "annotations": {"note": "b"},
        "managedFields": [{"manager": "kubectl"}],
    }
    metadata = QueueJob.parse(body).metadata
    assert (metadata.name, metadata.namespace, metadata.uid, metadata.generation) == (
        "emails",
        "default",
        "6a1b",
        4,
    )
    assert metadata.creation_timestamp == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert metadata.deletion_timestamp == datetime(2026, 11, 24, 4, tzinfo=UTC)
    assert (metadata.labels, metadata.annotations) == ({"team": "a"}, {"note": "b"})


def test_a_status_of_another_version_is_no_reason_to_refuse_the_spec() -> None:
    assert QueueJob.parse(queuejob() | {"status": {"backlog": "many"}}).status is None


def test_a_parsed_resource_cannot_be_changed() -> None:
    job = QueueJob.parse(queuejob())
    with pytest.raises(ValidationError):
        job.spec.concurrency = 2  # type: ignore[misc]


def test_a_named_connection_is_written_without_what_belongs_to_a_host() -> None:
    assert RedisSpec(connection="a").to_dict() == {"connection": "a"}
    assert RedisSpec(host="a").to_dict() == {"host": "a", "port": 6379, "db": 0}
