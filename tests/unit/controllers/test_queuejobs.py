"""Whole reconciles of QueueJobs against an API server in memory. Needs nothing."""

from __future__ import annotations

import asyncio

import pytest

from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.queuejobs import QUEUEJOBS
from tests.unit.controllers.cluster import KEY, Cluster


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
    cluster.pods_come()
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
    cluster.pods_come()
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
    cluster.pods_come()
    cluster.redis.is_away()
    assert await cluster.turn(after=600) == 15
    assert cluster.replicas() == 5
    assert cluster.ready() == ("False", "QueueUnreadable")
    cluster.redis.shows(waiting=6)
    await cluster.turn(after=1)
    assert cluster.replicas() == 6
    assert cluster.ready() == ("True", "Scaling")


async def test_one_that_does_not_parse_keeps_its_workers_and_its_claim(cluster: Cluster) -> None:
    cluster.put()
    cluster.redis.shows(waiting=4)
    await cluster.turn()
    cluster.put(generation=2, concurrency=0)
    assert await cluster.turn(after=1) is None
    assert cluster.ready() == ("False", "Invalid")
    assert cluster.replicas() == 4
    assert KEY not in cluster.redis.followed_by
    cluster.put("young", created="2026-11-01T00:00:00Z", uid="uid-young", queue="emails")
    await cluster.turn(("shop", "young"))
    assert cluster.ready("young") == ("False", "QueueTaken")


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
    cluster.registry.deployments.remove(KEY)
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
    cluster.registry.deployments.remove(KEY)
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
