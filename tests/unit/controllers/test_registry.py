"""What the registry takes, what it drops, and whom it wakes. Needs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bullherd.api import InvalidQueueJob, QueueJob
from bullherd.controllers.registry import JobKey, Registry
from bullherd.core.claims import QueueClaim, ServedQueue
from bullherd.core.snapshot import QueueKey
from tests.unit.builders import body

KEY = ("shop", "emails")


@pytest.fixture
def woken() -> list[JobKey]:
    return []


@pytest.fixture
def registry(woken: list[JobKey]) -> Registry:
    return Registry(woken.append)


def deployment_body(version: int = 1, replicas: int = 3, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "emails", "resourceVersion": str(version)},
        "spec": {"replicas": replicas},
        "status": status,
    }


class TestQueueJobs:
    def test_a_new_one_is_woken(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body())
        known = registry.job(KEY)
        assert known is not None
        assert isinstance(known.job, QueueJob)
        assert woken == [KEY]

    def test_a_new_spec_wakes(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body())
        registry.put_job(body(generation=2, version=2, concurrency=7))
        assert woken == [KEY, KEY]

    def test_a_new_status_wakes_nobody_and_is_known(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body())
        registry.put_job(body(version=2, status={"backlog": 5}))
        known = registry.job(KEY)
        assert known is not None
        assert isinstance(known.job, QueueJob)
        assert known.job.status is not None
        assert known.job.status.backlog == 5
        assert woken == [KEY]

    def test_an_older_one_is_dropped(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body(version=9, generation=3))
        registry.put_job(body(version=8, generation=2))
        known = registry.job(KEY)
        assert known is not None
        assert known.generation == 3
        assert woken == [KEY]

    def test_versions_are_numbers_not_texts(self, registry: Registry) -> None:
        registry.put_job(body(version=9))
        registry.put_job(body(version=10, generation=2))
        known = registry.job(KEY)
        assert known is not None
        assert known.version == 10

    def test_another_one_of_the_same_name_wakes(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body())
        registry.put_job(body(version=2, uid="uid-2"))
        assert woken == [KEY, KEY]

    def test_one_that_does_not_parse_is_known_as_such(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.put_job(body(concurrency=0))
        known = registry.job(KEY)
        assert known is not None
        assert isinstance(known.job, InvalidQueueJob)
        assert (known.uid, known.generation) == ("uid-1", 1)
        assert woken == [KEY]

    def test_one_that_is_gone_is_woken_and_loses_its_claim(
        self, registry: Registry, woken: list[JobKey]
    ) -> None:
        registry.put_job(body())
        registry.claim(KEY, CLAIM)
        registry.remove_job(KEY)
        assert registry.job(KEY) is None
        assert registry.keys == []
        assert registry.rival_of(replace(CLAIM, created=9.0)) is None
        assert woken == [KEY, KEY]

    @pytest.mark.parametrize(
        ("name", "listed", "behind", "news"),
        [
            ("the same", body(version=5), False, False),
            ("an older one", body(version=4, generation=2), False, False),
            ("a newer status", body(version=6), True, False),
            ("a newer spec", body(version=6, generation=2), True, True),
            ("another one of the same name", body(version=6, uid="uid-2"), True, True),
            ("one that is not known", body("sms"), True, True),
        ],
    )
    def test_news(
        self, registry: Registry, name: str, listed: dict[str, Any], behind: bool, news: bool
    ) -> None:
        registry.put_job(body(version=5))
        assert registry.is_behind(listed) is behind, name
        assert registry.is_news(listed) is news, name


class TestDeployments:
    def test_one_that_differs_in_what_matters_wakes(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.deployments.put(deployment_body())
        registry.deployments.put(deployment_body(version=2, readyReplicas=1))
        state = registry.deployments.get(KEY)
        assert state is not None
        assert state.ready_replicas == 1
        assert woken == [KEY, KEY]

    def test_one_that_differs_in_nothing_that_matters_wakes_nobody(
        self, registry: Registry, woken: list[JobKey]
    ) -> None:
        registry.deployments.put(deployment_body())
        registry.deployments.put(deployment_body(version=2, observedGeneration=7))
        assert woken == [KEY]

    def test_an_event_that_our_own_answer_overtook_is_dropped(
        self, registry: Registry, woken: list[JobKey]
    ) -> None:
        registry.deployments.put(deployment_body(version=5, replicas=4))
        kept = registry.deployments.put(deployment_body(version=4, replicas=0))
        assert kept.replicas == 4
        assert registry.deployments.get(KEY) == kept
        assert woken == [KEY]

    def test_one_that_is_gone_wakes_once(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.deployments.put(deployment_body())
        registry.deployments.remove(KEY)
        registry.deployments.remove(KEY)
        assert registry.deployments.get(KEY) is None
        assert woken == [KEY, KEY]

    def test_one_made_anew_after_it_was_gone_is_taken_whatever_its_version(self, registry: Registry) -> None:
        registry.deployments.put(deployment_body(version=9))
        registry.deployments.remove(KEY)
        assert registry.deployments.put(deployment_body(version=3, replicas=1)).replicas == 1


CLAIM = QueueClaim("shop", "emails", "uid-1", 1.0, ServedQueue("redis:6379/0", QueueKey("bull", "emails")))
YOUNGER = replace(CLAIM, name="younger", uid="uid-2", created=2.0)
YOUNGER_KEY = ("shop", "younger")


class TestClaims:
    def test_the_younger_learns_of_the_older(self, registry: Registry) -> None:
        registry.claim(KEY, CLAIM)
        registry.claim(YOUNGER_KEY, YOUNGER)
        assert registry.rival_of(YOUNGER) == CLAIM
        assert registry.rival_of(CLAIM) is None

    def test_a_claim_wakes_those_that_want_the_same(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.claim(YOUNGER_KEY, YOUNGER)
        registry.claim(
            ("shop", "apart"),
            replace(CLAIM, name="apart", served=replace(CLAIM.served, queue=QueueKey("bull", "sms"))),
        )
        assert woken == []
        registry.claim(KEY, CLAIM)
        assert woken == [YOUNGER_KEY]

    def test_the_same_claim_again_wakes_nobody(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.claim(YOUNGER_KEY, YOUNGER)
        registry.claim(KEY, CLAIM)
        woken.clear()
        registry.claim(KEY, replace(CLAIM))
        assert woken == []

    def test_a_claim_that_is_given_up_wakes_the_next(self, registry: Registry, woken: list[JobKey]) -> None:
        registry.claim(KEY, CLAIM)
        registry.claim(YOUNGER_KEY, YOUNGER)
        woken.clear()
        registry.claim(KEY, None)
        assert woken == [YOUNGER_KEY]
        assert registry.rival_of(YOUNGER) is None

    def test_one_that_moves_to_another_server_frees_its_queue(
        self, registry: Registry, woken: list[JobKey]
    ) -> None:
        registry.claim(KEY, CLAIM)
        registry.claim(YOUNGER_KEY, YOUNGER)
        woken.clear()
        registry.claim(KEY, replace(CLAIM, served=replace(CLAIM.served, server="other:6379/0")))
        assert woken == [YOUNGER_KEY]
        assert registry.rival_of(YOUNGER) is None

    def test_queues_that_nobody_claims_leave_nothing_behind(self, registry: Registry) -> None:
        registry.claim(KEY, CLAIM)
        registry.rival_of(YOUNGER)
        registry.rival_of(replace(YOUNGER, served=replace(CLAIM.served, server="asked:6379/0")))
        registry.claim(KEY, replace(CLAIM, served=replace(CLAIM.served, server="other:6379/0")))
        registry.claim(KEY, None)
        assert registry._claimants == {}
