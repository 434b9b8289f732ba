"""Who gets a queue: rivals, and connections that come, go and change. Needs nothing."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

import pytest

from bullherd.kube.client import KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.kube.secrets import SECRETS
from tests.unit.builders import job
from tests.unit.controllers.cluster import KEY, Cluster
from tests.unit.controllers.fake_kubernetes import FakeKubernetes


class TestRivals:
    OLD, YOUNG = ("shop", "old"), ("shop", "young")

    @pytest.fixture
    async def rivals(self, cluster: Cluster) -> Cluster:
        cluster.put("old", uid="uid-old", created="2026-01-01T00:00:00Z")
        cluster.put("young", uid="uid-young", created="2026-01-02T00:00:00Z")
        cluster.redis.shows(waiting=4)
        await cluster.reconciler.claim_all()
        return cluster

    async def test_only_the_older_gets_workers_whoever_comes_first(self, rivals: Cluster) -> None:
        await rivals.turn(self.YOUNG, self.OLD)
        assert rivals.replicas("old") == 4
        assert not rivals.has_deployment("young")
        assert rivals.ready("young") == ("False", "QueueTaken")
        assert rivals.ready("old") == ("True", "Scaling")
        assert self.YOUNG not in rivals.redis.followed_by

    async def test_the_younger_takes_over_when_the_older_goes(self, rivals: Cluster) -> None:
        await rivals.turn(self.OLD, self.YOUNG)
        rivals.api.remove(QUEUEJOBS, *self.OLD)
        rivals.woken.clear()
        rivals.registry.remove_job(self.OLD)
        assert set(rivals.woken) == {self.OLD, self.YOUNG}
        await rivals.turn(self.OLD, self.YOUNG)
        assert rivals.replicas("young") == 4
        assert rivals.ready("young") == ("True", "Scaling")

    async def test_one_that_has_workers_gives_way_to_an_older_one(self, cluster: Cluster) -> None:
        cluster.put("young", uid="uid-young", created="2026-01-02T00:00:00Z")
        cluster.redis.shows(waiting=4)
        await cluster.turn(self.YOUNG)
        assert cluster.replicas("young") == 4
        cluster.put("old", uid="uid-old", created="2026-01-01T00:00:00Z")
        cluster.woken.clear()
        await cluster.turn(self.OLD)
        assert self.YOUNG in cluster.woken
        await cluster.turn(self.YOUNG)
        assert cluster.replicas("young") == 0
        assert cluster.replicas("old") == 4


class TestConnectionsOfQueueJobs:
    async def test_an_unknown_one_is_told_and_heals(self, cluster: Cluster) -> None:
        cluster.put(redis={"connection": "later"})
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        assert cluster.ready() == ("False", "ConnectionUnknown")
        assert not cluster.has_deployment()
        await cluster.connection("later")
        await cluster.turn(after=5)
        assert cluster.ready() == ("True", "Scaling")
        assert cluster.replicas() == 4

    async def test_one_that_goes_leaves_what_runs_alone(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        (cluster.folder / "default.yaml").unlink()
        await cluster.connections.reload()
        await cluster.turn(after=600)
        assert cluster.ready() == ("False", "ConnectionUnknown")
        assert cluster.replicas() == 4
        assert KEY not in cluster.redis.followed_by

    async def test_a_new_password_in_a_secret_is_tried_soon_after_a_login_failed(
        self, cluster: Cluster
    ) -> None:
        cluster.put(redis={"host": "redis", "passwordSecretRef": {"name": "redis"}})
        cluster.redis.shows(waiting=1)
        put_secret(cluster.api, "old")
        await cluster.turn()
        put_secret(cluster.api, "new")
        await cluster.turn(after=1)
        assert cluster.redis.followed_by[KEY][0].password == "old"
        cluster.redis.is_away()
        await cluster.turn(after=1)
        assert cluster.redis.followed_by[KEY][0].password == "new"

    async def test_a_secret_that_cannot_be_asked_for_holds_up_no_other_at_the_start(
        self, cluster: Cluster, no_pauses: None
    ) -> None:
        cluster.put("inline", redis={"host": "redis", "passwordSecretRef": {"name": "redis"}})
        cluster.put("old", created="2026-01-01T00:00:00Z", uid="uid-old")
        cluster.put("young", created="2026-01-02T00:00:00Z", uid="uid-young")
        cluster.redis.shows(waiting=4)

        def refuses(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            return KubernetesError(500, "etcd is slow today") if plural == "secrets" else None

        cluster.api.refuses = refuses
        await cluster.reconciler.claim_all()
        await cluster.turn(("shop", "young"))
        assert cluster.ready("young") == ("False", "QueueTaken")


class TestClaimsWithoutAConnection:
    OLD, YOUNG = ("shop", "old"), ("shop", "young")
    INLINE: ClassVar[dict[str, Any]] = {"host": "redis", "passwordSecretRef": {"name": "redis"}}

    @pytest.fixture
    async def cluster(self, cluster: Cluster, no_pauses: None) -> Cluster:
        """The older one names the Redis of the connection itself, with a password, and has four workers."""
        put_secret(cluster.api, "secret")
        cluster.put("old", uid="uid-old", created="2026-01-01T00:00:00Z", redis=self.INLINE)
        cluster.redis.shows(waiting=4)
        await cluster.turn(self.OLD)
        assert cluster.replicas("old") == 4
        return cluster

    def add_a_younger_one(self, cluster: Cluster) -> None:
        cluster.put("young", uid="uid-young", created="2026-01-02T00:00:00Z")

    async def test_a_younger_one_does_not_take_the_queue(self, cluster: Cluster) -> None:
        cluster.api.remove(SECRETS, "shop", "redis")
        self.add_a_younger_one(cluster)
        cluster.connections.distrust(job("old", redis=self.INLINE))
        await cluster.turn(self.OLD, self.YOUNG)
        assert cluster.ready("old") == ("False", "SecretMissing")
        assert cluster.replicas("old") == 4
        assert cluster.ready("young") == ("False", "QueueTaken")
        assert not cluster.has_deployment("young")

        put_secret(cluster.api, "new")
        await cluster.turn(self.OLD, self.YOUNG, after=15)
        assert cluster.ready("old") == ("True", "Scaling")
        assert not cluster.has_deployment("young")

    async def test_nor_after_a_restart(self, cluster: Cluster) -> None:
        cluster.api.remove(SECRETS, "shop", "redis")
        self.add_a_younger_one(cluster)
        await self.restart(cluster)
        await cluster.turn(self.YOUNG, self.OLD)
        assert cluster.ready("young") == ("False", "QueueTaken")

    async def test_nor_beside_one_that_no_longer_parses_after_a_restart(self, cluster: Cluster) -> None:
        cluster.put("old", uid="uid-old", created="2026-01-01T00:00:00Z", generation=2, concurrency=0)
        self.add_a_younger_one(cluster)
        await self.restart(cluster)
        await cluster.turn(self.YOUNG)
        assert cluster.ready("young") == ("False", "QueueTaken")

    async def test_nor_when_the_api_server_hiccups_at_the_start(self, cluster: Cluster) -> None:
        self.add_a_younger_one(cluster)
        refused = 0

        def refuses(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            nonlocal refused
            refused += plural in ("secrets", "deployments")
            return KubernetesError(500, "etcd is slow today") if refused <= 5 else None

        cluster.api.refuses = refuses
        await self.restart(cluster)
        assert refused > 5
        await cluster.turn(self.YOUNG)
        assert cluster.ready("young") == ("False", "QueueTaken")

    async def test_one_that_never_had_workers_holds_nothing_after_a_restart(self, cluster: Cluster) -> None:
        cluster.api.remove(SECRETS, "shop", "redis")
        cluster.api.remove(DEPLOYMENTS, *self.OLD)
        self.add_a_younger_one(cluster)
        await self.restart(cluster)
        await cluster.turn(self.YOUNG)
        assert cluster.replicas("young") == 4

    async def test_nor_does_one_whose_name_a_strangers_deployment_has(self, cluster: Cluster) -> None:
        cluster.api.remove(SECRETS, "shop", "redis")
        cluster.put("old", uid="uid-anew", created="2026-01-01T00:00:00Z", redis=self.INLINE)
        self.add_a_younger_one(cluster)
        await self.restart(cluster)
        await cluster.turn(self.YOUNG)
        assert cluster.replicas("young") == 4

    async def test_a_claim_ends_with_its_queuejob_though_a_new_one_has_the_name(
        self, cluster: Cluster
    ) -> None:
        cluster.put("old", uid="uid-anew", created="2026-01-03T00:00:00Z", redis={"connection": "later"})
        self.add_a_younger_one(cluster)
        await cluster.turn(self.OLD, self.YOUNG)
        assert cluster.replicas("young") == 4

    async def restart(self, cluster: Cluster) -> None:
        cluster.restart()
        await cluster.connections.reload()
        await cluster.reconciler.claim_all()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bullherd.controllers.claims._PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr("bullherd.controllers.claims._DEPLOYMENT_RETRY", 0.0)


def put_secret(api: FakeKubernetes, password: str) -> None:
    data = {"password": base64.b64encode(password.encode()).decode()}
    api.put(SECRETS, {"metadata": {"namespace": "shop", "name": "redis"}, "data": data})
