"""Who gets a queue: rivals, and connections that come, go and change. Needs nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bullherd.kube.client import KubernetesError
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.kube.secrets import SECRETS
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
        self, cluster: Cluster
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


def put_secret(api: FakeKubernetes, password: str) -> None:
    data = {"password": base64.b64encode(password.encode()).decode()}
    api.put(SECRETS, {"metadata": {"namespace": "shop", "name": "redis"}, "data": data})
