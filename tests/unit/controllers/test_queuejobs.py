"""Whole reconciles of QueueJobs against an API server in memory. Needs nothing.

Connections are real files, the clock is the test's, and what Redis shows is what the test says.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bullherd.controllers.connections import Connections
from bullherd.controllers.demand import DemandWatch
from bullherd.controllers.queuejobs import QueueJobReconciler
from bullherd.controllers.registry import JobKey, Registry
from bullherd.controllers.server_watch import Reading
from bullherd.controllers.statuses import StatusWriter
from bullherd.core.redis_endpoint import RedisEndpoint
from bullherd.core.snapshot import QueueKey
from bullherd.kube.client import KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.queuejobs import QUEUEJOBS
from bullherd.kube.secrets import SECRETS
from bullherd.telemetry.metrics import OperatorMetrics
from tests.unit.builders import NOW, body, snapshot
from tests.unit.controllers.fake_kubernetes import FakeKubernetes

KEY = ("shop", "emails")
AWAY = "Redis at redis:6379/0 cannot be used: it is away."


class Redis(DemandWatch):
    """What the queues show; one that is followed shows ``readings[queue name]``."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.followed_by: dict[JobKey, tuple[RedisEndpoint, QueueKey]] = {}
        self.asleep: dict[JobKey, bool] = {}

    def follow(self, owner: JobKey, endpoint: RedisEndpoint, queue: QueueKey) -> None:
        self.followed_by[owner] = endpoint, queue

    def forget(self, owner: JobKey) -> None:
        self.followed_by.pop(owner, None)

    def set_asleep(self, owner: JobKey, asleep: bool) -> None:
        self.asleep[owner] = asleep

    def reading(self, owner: JobKey) -> Reading:
        if owner not in self.followed_by:
            return Reading()
        return self.readings.get(self.followed_by[owner][1].name, Reading())

    def shows(self, queue: str = "emails", **counts: Any) -> None:
        self.readings[queue] = Reading(snapshot(**counts))

    def is_away(self, queue: str = "emails") -> None:
        self.readings[queue] = Reading(self.readings.get(queue, Reading()).snapshot, AWAY)


class Cluster:
    """An operator that reconciles when it is told to, and all around it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr("bullherd.controllers.queuejobs.time", SimpleNamespace(time=lambda: self.now))
        self.folder = folder
        self.api = FakeKubernetes()
        self.redis = Redis()
        self.restart()

    def restart(self) -> None:
        """A new leader: it knows only what stands in the cluster."""
        self.woken: list[JobKey] = []
        self.metrics = OperatorMetrics()
        self.registry = Registry(self.woken.append)
        self.connections = Connections(self.api, self.folder)
        self.reconciler = QueueJobReconciler(
            self.api,
            self.registry,
            self.connections,
            self.redis,
            StatusWriter(self.api, self.metrics),
            self.metrics,
            "bullherd-",
        )
        self.api.seen = self._watched
        for known in self.api.all("queuejobs"):
            self.registry.put_job(known)
        for known in self.api.all("deployments"):
            self.registry.put_deployment(known)

    def _watched(self, plural: str, seen: dict[str, Any]) -> None:
        if plural == "queuejobs":
            self.registry.put_job(seen)
        elif plural == "deployments" and "labels" in seen["metadata"]:
            self.registry.put_deployment(seen)

    async def connection(self, name: str = "default", host: str = "redis") -> None:
        (self.folder / f"{name}.yaml").write_text(f"{{host: {host}, namespaces: ['*']}}")
        await self.connections.reload()

    def put(self, name: str = "emails", **changes: Any) -> None:
        self.api.put(QUEUEJOBS, body(name, **changes))

    async def turn(self, *keys: JobKey, after: float = 0.0) -> float | None:
        """Reconcile each, ``after`` so many seconds; the last one's wish to be looked at again."""
        self.now += after
        wish: float | None = None
        for key in keys or (KEY,):
            wish = await self.reconciler.reconcile(key)
        return wish

    def replicas(self, name: str = "emails") -> int:
        replicas: int = self.api.look(DEPLOYMENTS, "shop", name)["spec"]["replicas"]
        return replicas

    def has_deployment(self, name: str = "emails") -> bool:
        return any(d["metadata"]["name"] == name for d in self.api.all("deployments"))

    def ready(self, name: str = "emails") -> tuple[str, str]:
        conditions = self.api.look(QUEUEJOBS, "shop", name)["status"]["conditions"]
        (ready,) = (c for c in conditions if c["type"] == "Ready")
        return ready["status"], ready["reason"]

    def managers(self) -> list[str]:
        fields = self.api.look(DEPLOYMENTS, *KEY)["metadata"]["managedFields"]
        return [field["manager"] for field in fields]

    def events(self) -> list[str]:
        return [event["reason"] for event in self.api.all("events")]

    def applies(self) -> int:
        return self.api.count("APPLY", "deployments")


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(tmp_path, monkeypatch)
    await made.connection()
    return made


async def test_a_new_queuejob_gets_its_workers_at_once(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    assert cluster.replicas() == 4
    assert cluster.ready() == ("True", "Scaling")
    assert cluster.events() == ["Scaling", "ScaledUp"]
    assert cluster.redis.asleep[KEY] is False


async def test_the_replicas_have_their_own_owner_from_the_start(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    assert cluster.managers() == ["bullherd", "bullherd-scaling"]
    cluster.put(generation=2, container={"image": "worker:2"})
    await cluster.turn()
    deployment = cluster.api.look(DEPLOYMENTS, *KEY)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "worker:2"
    assert deployment["spec"]["replicas"] == 4


async def test_nothing_to_do_writes_nothing_and_waits_for_the_refresh(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    requests = len(cluster.api.requests)
    assert await cluster.turn(after=1) == 300
    assert len(cluster.api.requests) == requests


async def test_to_work_and_back_to_nothing(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows()
    await cluster.turn()
    assert cluster.replicas() == 0
    assert cluster.redis.asleep[KEY] is True

    cluster.redis.shows(waiting=5)
    await cluster.turn(after=10)
    assert cluster.replicas() == 5
    assert cluster.redis.asleep[KEY] is False

    cluster.redis.shows()
    await cluster.turn(after=10)
    assert await cluster.turn(after=20) is not None
    assert cluster.replicas() == 5
    await cluster.turn(after=39)
    assert cluster.replicas() == 5
    await cluster.turn(after=1)
    assert cluster.replicas() == 0
    assert cluster.redis.asleep[KEY] is True
    assert cluster.events() == ["Scaling", "ScaledUp", "ScaledDown"]


async def test_a_new_leader_goes_on_with_the_wait_of_the_old_one(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=5)
    await cluster.turn()
    cluster.redis.shows()
    await cluster.turn(after=10)
    await cluster.turn(after=10)

    cluster.restart()
    await cluster.connections.reload()
    cluster.redis.readings.clear()
    await cluster.turn(after=15)
    assert cluster.replicas() == 5
    cluster.redis.shows()
    assert await cluster.turn() == pytest.approx(35)
    await cluster.turn(after=35)
    assert cluster.replicas() == 0


async def test_a_new_leader_that_sees_nothing_yet_changes_nothing(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=5)
    await cluster.turn()
    cluster.restart()
    await cluster.connections.reload()
    cluster.redis.readings.clear()
    await cluster.turn(after=600)
    assert cluster.replicas() == 5


async def test_redis_that_goes_away_holds_the_replicas_and_is_told(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=5)
    await cluster.turn()
    cluster.redis.is_away()
    assert await cluster.turn(after=600) == 15
    assert cluster.replicas() == 5
    assert cluster.ready() == ("False", "QueueUnreadable")
    cluster.redis.shows(waiting=6)
    await cluster.turn(after=1)
    assert cluster.replicas() == 6
    assert cluster.ready() == ("True", "Scaling")


class TestWindowsOfACrash:
    async def test_after_the_deployment_was_made_and_before_its_replicas_had_an_owner(
        self, cluster: Cluster
    ) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)

        def dies(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            is_scaling = method == "APPLY" and "template" not in body["spec"]
            return KubernetesError(0, "The operator was killed here.") if is_scaling else None

        cluster.api.refuses = dies
        with pytest.raises(KubernetesError):
            await cluster.turn()
        cluster.api.refuses = lambda *_: None
        assert cluster.managers() == ["bullherd"]

        cluster.restart()
        await cluster.connections.reload()
        cluster.put(generation=2, container={"image": "worker:2"})
        await cluster.turn(after=1)
        assert cluster.replicas() == 4
        assert cluster.managers() == ["bullherd", "bullherd-scaling"]

    async def test_after_scaling_and_before_the_status(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)

        def dies(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            return KubernetesError(0, "The operator was killed here.") if method == "PATCH" else None

        cluster.api.refuses = dies
        with pytest.raises(KubernetesError):
            await cluster.turn()
        cluster.api.refuses = lambda *_: None

        cluster.restart()
        await cluster.connections.reload()
        await cluster.turn(after=1)
        assert cluster.replicas() == 4
        assert cluster.api.look(QUEUEJOBS, *KEY)["status"]["desiredReplicas"] == 4


class TestRefusedTemplates:
    @staticmethod
    def refuse_image(cluster: Cluster, image: str) -> None:
        def refuses(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            if method == "APPLY" and image in str(body["spec"].get("template")):
                return KubernetesError(422, f"the image {image} is not allowed")
            return None

        cluster.api.refuses = refuses

    async def test_is_told_and_not_tried_again_at_once(self, cluster: Cluster) -> None:
        self.refuse_image(cluster, "bad")
        cluster.put(container={"image": "bad"})
        cluster.redis.shows(waiting=4)
        assert await cluster.turn() == 30
        assert cluster.ready() == ("False", "TemplateRejected")
        assert not cluster.has_deployment()
        for _ in range(5):
            await cluster.turn(after=1)
        assert cluster.applies() == 1

    async def test_is_tried_again_after_a_while(self, cluster: Cluster) -> None:
        self.refuse_image(cluster, "bad")
        cluster.put(container={"image": "bad"})
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        self.refuse_image(cluster, "other")
        await cluster.turn(after=30)
        assert cluster.ready() == ("True", "Scaling")
        assert cluster.replicas() == 4

    async def test_heals_at_once_when_it_is_mended(self, cluster: Cluster) -> None:
        self.refuse_image(cluster, "bad")
        cluster.put(container={"image": "bad"})
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        cluster.put(generation=2, container={"image": "good"})
        await cluster.turn(after=1)
        assert cluster.ready() == ("True", "Scaling")
        assert cluster.replicas() == 4

    async def test_what_runs_goes_on_and_is_scaled(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=2)
        await cluster.turn()
        self.refuse_image(cluster, "bad")
        cluster.put(generation=2, container={"image": "bad"})
        cluster.redis.shows(waiting=5)
        await cluster.turn(after=1)
        assert cluster.ready() == ("False", "TemplateRejected")
        assert cluster.replicas() == 5

    async def test_of_one_that_runs_stays_refused_until_it_is_not(self, cluster: Cluster) -> None:
        """A refresh is refused: the same template stands there, so only trying again can tell."""
        cluster.put()
        cluster.redis.shows(waiting=2)
        await cluster.turn()
        self.refuse_image(cluster, "worker:1")
        await cluster.turn(after=300)
        assert cluster.ready() == ("False", "TemplateRejected")
        await cluster.turn(after=30)
        assert cluster.ready() == ("False", "TemplateRejected")
        cluster.api.refuses = lambda *_: None
        await cluster.turn(after=30)
        assert cluster.ready() == ("True", "Scaling")

    async def test_an_api_server_that_is_away_is_no_refusal(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=2)
        with cluster.api.away(), pytest.raises(KubernetesError):
            await cluster.turn()
        await cluster.turn(after=1)
        assert cluster.replicas() == 2


class TestWhatOthersDo:
    async def test_a_strangers_deployment_is_never_touched(self, cluster: Cluster) -> None:
        stranger = {
            "metadata": {"namespace": "shop", "name": "emails"},
            "spec": {"replicas": 2, "template": {"spec": {}}, "selector": {}},
        }
        cluster.api.put(DEPLOYMENTS, stranger)
        cluster.put()
        cluster.redis.shows(waiting=9)
        assert await cluster.turn() == 5
        assert cluster.ready() == ("False", "DeploymentNotOurs")
        assert cluster.applies() == 0
        cluster.api.remove(DEPLOYMENTS, *KEY)
        await cluster.turn(after=5)
        assert cluster.replicas() == 9

    async def test_replicas_that_others_set_are_set_right_and_told(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        edited = cluster.api.look(DEPLOYMENTS, *KEY)
        edited["spec"]["replicas"] = 0
        cluster.api.put(DEPLOYMENTS, edited)
        await cluster.turn(after=1)
        assert cluster.replicas() == 4
        assert cluster.events().count("ScaledUp") == 2

    async def test_a_template_that_others_edited_is_mended_by_the_refresh(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        edited = cluster.api.look(DEPLOYMENTS, *KEY)
        edited["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"
        cluster.api.put(DEPLOYMENTS, edited)
        await cluster.turn(after=300)
        spec = cluster.api.look(DEPLOYMENTS, *KEY)["spec"]
        assert spec["template"]["spec"]["containers"][0]["image"] == "worker:1"
        assert spec["replicas"] == 4

    async def test_a_deleted_deployment_is_made_again(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        cluster.api.remove(DEPLOYMENTS, *KEY)
        cluster.registry.remove_deployment(KEY)
        await cluster.turn(after=1)
        assert cluster.replicas() == 4

    async def test_a_deleted_deployment_is_made_again_though_the_watch_is_silent(
        self, cluster: Cluster
    ) -> None:
        """Only a failing request tells then; it must not be taken for a refused template."""
        cluster.put()
        cluster.redis.shows(waiting=4)
        await cluster.turn()
        cluster.api.remove(DEPLOYMENTS, *KEY)
        cluster.redis.shows(waiting=6)
        cluster.woken.clear()
        with pytest.raises(KubernetesError):
            await cluster.turn(after=300)
        assert KEY in cluster.woken
        await cluster.turn(after=1)
        assert cluster.replicas() == 6
        assert cluster.ready() == ("True", "Scaling")


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


async def test_one_that_does_not_parse_keeps_its_workers_and_loses_its_claim(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    cluster.put(generation=2, concurrency=0)
    assert await cluster.turn(after=1) is None
    assert cluster.ready() == ("False", "Invalid")
    assert cluster.replicas() == 4
    assert KEY not in cluster.redis.followed_by


async def test_one_that_is_gone_leaves_nothing_behind(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    assert b'queuejob="emails"' in cluster.metrics.render()
    cluster.api.remove(QUEUEJOBS, *KEY)
    cluster.registry.remove_job(KEY)
    requests = len(cluster.api.requests)
    assert await cluster.turn() is None
    assert KEY not in cluster.redis.followed_by
    assert b'queuejob="emails"' not in cluster.metrics.render()
    assert len(cluster.api.requests) == requests


async def test_one_that_is_being_deleted_gets_nothing_anew(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    leaving = cluster.api.look(QUEUEJOBS, *KEY)
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-03T00:00:00Z", "generation": 2}
    cluster.api.put(QUEUEJOBS, leaving)
    cluster.api.remove(DEPLOYMENTS, *KEY)
    cluster.registry.remove_deployment(KEY)
    assert await cluster.turn() is None
    assert not cluster.has_deployment()


async def test_another_one_of_the_same_name_waits_for_the_old_deployment_to_go(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    cluster.put(uid="uid-2")
    await cluster.turn(after=1)
    assert cluster.ready() == ("False", "DeploymentNotOurs")
    cluster.api.remove(DEPLOYMENTS, *KEY)
    cluster.registry.remove_deployment(KEY)
    await cluster.turn(after=5)
    owner = cluster.api.look(DEPLOYMENTS, *KEY)["metadata"]["ownerReferences"][0]
    assert owner["uid"] == "uid-2"
    assert cluster.ready() == ("True", "Scaling")


async def test_many_at_once_do_not_get_in_each_others_way(cluster: Cluster) -> None:
    names = [f"q{n}" for n in range(50)]
    for number, name in enumerate(names):
        cluster.put(name, queue=name, uid=f"uid-{name}")
        cluster.redis.shows(name, waiting=number % 10)
    await asyncio.gather(*(cluster.turn(("shop", name)) for name in names))
    assert [cluster.replicas(name) for name in names] == [number % 10 for number in range(50)]
