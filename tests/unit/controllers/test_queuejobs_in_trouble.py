"""Reconciles after crashes, refusals and what others do to a Deployment. Needs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bullherd.kube.client import KubernetesError
from bullherd.kube.deployments import DEPLOYMENTS
from bullherd.kube.queuejobs import QUEUEJOBS
from tests.unit.controllers.cluster import KEY, Cluster


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
        assert cluster.api.look(QUEUEJOBS, *KEY)["status"]["scaling"]["desiredReplicas"] == 4


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


class TestRefusedScaling:
    @staticmethod
    def refuse_scaling(cluster: Cluster, status: int) -> None:
        def refuses(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            is_scaling = method == "APPLY" and "template" not in body["spec"]
            return KubernetesError(status, "no more workers today") if is_scaling else None

        cluster.api.refuses = refuses

    @pytest.mark.parametrize("status", [403, 409, 422, 500])
    async def test_is_told_and_tried_again_and_heals(self, cluster: Cluster, status: int) -> None:
        cluster.put()
        cluster.redis.shows()
        await cluster.turn()
        self.refuse_scaling(cluster, status)
        cluster.redis.shows(waiting=4)
        for _ in range(3):
            with pytest.raises(KubernetesError):
                await cluster.turn(after=1)
        assert cluster.ready() == ("False", "ScalingFailed")
        assert "scale the workers to 4: no more workers today. It tries again" in cluster.message()
        assert cluster.api.look(QUEUEJOBS, *KEY)["status"]["backlog"] == 4
        assert cluster.redis.asleep[KEY] is True
        assert cluster.events() == ["Scaling", "ScalingFailed"]

        cluster.api.refuses = lambda *_: None
        await cluster.turn(after=1)
        assert cluster.ready() == ("True", "Scaling")
        assert cluster.replicas() == 4
        assert cluster.events() == ["Scaling", "ScalingFailed", "Scaling", "ScaledUp"]

    async def test_does_not_pass_for_a_refused_template(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows()
        await cluster.turn()
        self.refuse_scaling(cluster, 403)
        cluster.put(generation=2, container={"image": "worker:2"})
        cluster.redis.shows(waiting=4)
        with pytest.raises(KubernetesError):
            await cluster.turn(after=1)
        assert cluster.ready() == ("False", "ScalingFailed")

    async def test_a_template_that_fails_for_another_reason_is_told(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows(waiting=4)
        cluster.api.refuses = lambda method, *_: (
            KubernetesError(500, "etcd is slow today") if method == "APPLY" else None
        )
        with pytest.raises(KubernetesError):
            await cluster.turn()
        assert cluster.ready() == ("False", "ApplyFailed")
        assert "apply the workers' Deployment: etcd is slow today." in cluster.message()

    async def test_what_was_scaled_before_the_template_failed_is_told(self, cluster: Cluster) -> None:
        cluster.put()
        cluster.redis.shows()
        await cluster.turn()

        def refuses(method: str, plural: str, body: dict[str, Any]) -> KubernetesError | None:
            is_template = method == "APPLY" and "template" in body["spec"]
            return KubernetesError(500, "etcd is slow today") if is_template else None

        cluster.api.refuses = refuses
        cluster.put(generation=2, container={"image": "worker:2"})
        cluster.redis.shows(waiting=4)
        with pytest.raises(KubernetesError):
            await cluster.turn(after=1)
        assert cluster.replicas() == 4
        assert cluster.redis.asleep[KEY] is False
        assert cluster.events() == ["Scaling", "ApplyFailed", "ScaledUp"]


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
        cluster.registry.deployments.remove(KEY)
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
