"""The workers' Deployment as it is sent to the API server. Needs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bullherd.api import QueueJob
from bullherd.core.connection import Connection, SecretKey
from bullherd.core.deployment import worker_deployment
from bullherd.core.manifests import fingerprint_of
from bullherd.core.redis_endpoint import TlsOptions
from tests.unit.builders import PREFIX, connection, job


def manifest_of(of: QueueJob, to: Connection | None = None, prefix: str = PREFIX) -> dict[str, Any]:
    return worker_deployment(of, to or connection(), prefix)


def pod_of(of: QueueJob, to: Connection | None = None, prefix: str = PREFIX) -> dict[str, Any]:
    pod: dict[str, Any] = manifest_of(of, to, prefix)["spec"]["template"]["spec"]
    return pod


def environment(of: QueueJob, to: Connection | None = None) -> dict[str, Any]:
    """Name to value, or to where the value comes from."""
    (container,) = pod_of(of, to)["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names)), "a variable stands twice"
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container["env"]}


def with_tls(to: Connection) -> Connection:
    return replace(to, endpoint=replace(to.endpoint, tls=TlsOptions(ca="CA")))


TLS = with_tls(connection(ca=SecretKey("redis-ca", "my-ca.pem"), client_certificate="redis-client"))


def test_the_whole_manifest_of_the_least_queuejob() -> None:
    manifest = manifest_of(job(concurrency=5))
    fingerprint = manifest["metadata"].pop("annotations")
    assert fingerprint.pop("bullherd.dev/redis") == "redis.example:6379/0"
    assert fingerprint.pop("bullherd.dev/queue") == "bull:emails"
    assert list(fingerprint) == ["bullherd.dev/fingerprint"]
    labels = {"app.kubernetes.io/managed-by": "bullherd", "bullherd.dev/queuejob": "emails"}
    assert manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "emails",
            "namespace": "shop",
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": "bullherd.dev/v1alpha1",
                    "kind": "QueueJob",
                    "name": "emails",
                    "uid": "uid-1",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "selector": {"matchLabels": {"bullherd.dev/queuejob": "emails"}},
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {"labels": labels, "annotations": {}},
                "spec": {
                    "priorityClassName": "bullherd-medium",
                    "containers": [
                        {
                            "name": "worker",
                            "image": "worker:1",
                            "env": [
                                {"name": "REDIS_HOST", "value": "redis.example"},
                                {"name": "REDIS_PORT", "value": "6379"},
                                {"name": "REDIS_DB", "value": "0"},
                                {"name": "REDIS_TLS", "value": "false"},
                                {"name": "QUEUE_NAME", "value": "emails"},
                                {"name": "QUEUE_PREFIX", "value": "bull"},
                                {"name": "QUEUE_CONCURRENCY", "value": "5"},
                                {
                                    "name": "REDIS_PASSWORD",
                                    "valueFrom": {
                                        "secretKeyRef": {
                                            "name": "bullherd-connection-default",
                                            "key": "password",
                                        }
                                    },
                                },
                                {
                                    "name": "WORKER_NAME",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                                },
                            ],
                        }
                    ],
                },
            },
        },
    }


def test_replicas_are_never_in_the_template_managers_manifest() -> None:
    assert "replicas" not in manifest_of(job())["spec"]


def test_the_password_itself_is_nowhere() -> None:
    assert "hunter2" not in str(manifest_of(job(), TLS))


def test_a_connection_without_a_secret_for_workers_gives_no_password() -> None:
    assert "REDIS_PASSWORD" not in environment(job(), connection(password=None))


def test_a_user_name_is_given_when_there_is_one() -> None:
    assert "REDIS_USERNAME" not in environment(job())
    named = replace(connection(), endpoint=replace(connection().endpoint, username="worker"))
    assert environment(job(), named)["REDIS_USERNAME"] == "worker"


class TestTheAuthorsOwn:
    """What stands in spec.template, beside what Bullherd adds."""

    def test_a_variable_of_the_same_name_wins(self) -> None:
        own = {"env": [{"name": "QUEUE_CONCURRENCY", "value": "9"}, {"name": "MINE", "value": "1"}]}
        variables = environment(job(container=own))
        assert variables["QUEUE_CONCURRENCY"] == "9"
        assert variables["MINE"] == "1"
        assert variables["QUEUE_NAME"] == "emails"

    def test_a_password_of_ones_own_wins(self) -> None:
        own = {"env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
        assert environment(job(container=own))["REDIS_PASSWORD"] == {
            "secretKeyRef": {"name": "s", "key": "k"}
        }

    def test_a_variable_may_refer_to_bullherds_which_stand_before_it(self) -> None:
        own = {"env": [{"name": "URL", "value": "redis://$(REDIS_HOST)"}]}
        names = list(environment(job(container=own)))
        assert names.index("REDIS_HOST") < names.index("URL")

    def test_labels_are_kept_and_cannot_replace_bullherds(self) -> None:
        labels = {"team": "mail", "bullherd.dev/queuejob": "x", "app.kubernetes.io/managed-by": "x"}
        template = manifest_of(job(metadata={"labels": labels, "annotations": {"a": "b"}}))["spec"][
            "template"
        ]
        assert template["metadata"] == {
            "labels": {
                "team": "mail",
                "bullherd.dev/queuejob": "emails",
                "app.kubernetes.io/managed-by": "bullherd",
            },
            "annotations": {"a": "b"},
        }

    def test_every_other_field_of_the_pod_is_passed_through(self) -> None:
        pod = {"terminationGracePeriodSeconds": 99, "nodeSelector": {"disk": "ssd"}, "aFieldOfTomorrow": [1]}
        container = {"resources": {"limits": {"cpu": "1"}}, "command": ["node", "worker.js"]}
        made = pod_of(job(pod=pod, container=container))
        assert pod.items() <= made.items()
        assert container.items() <= made["containers"][0].items()

    def test_every_container_gets_the_environment(self) -> None:
        sidecar = {"name": "sidecar", "image": "s:1"}
        pod = {
            "containers": [{"name": "worker", "image": "w:1"}, sidecar],
            "initContainers": [{"name": "init", "image": "i:1"}],
        }
        made = pod_of(job(pod=pod))
        for container in [*made["containers"], *made["initContainers"]]:
            assert {"name": "QUEUE_NAME", "value": "emails"} in container["env"]

    def test_the_queuejob_itself_is_not_changed(self) -> None:
        mine = job(container={"env": [{"name": "MINE", "value": "1"}]})
        before = mine.model_dump_json()
        manifest_of(mine, TLS)
        assert mine.model_dump_json() == before


class TestTheTimeToEnd:
    """``terminationGracePeriodSeconds``, and what the Python worker is told of it."""

    def test_it_is_kubernetes_own_where_nobody_says_how_long_items_take(self) -> None:
        assert "terminationGracePeriodSeconds" not in pod_of(job())
        assert "WORKER_DRAIN_SECONDS" not in environment(job())

    def test_it_is_longer_than_the_longest_item(self) -> None:
        slow = job(longestItemSeconds=600)
        assert pod_of(slow)["terminationGracePeriodSeconds"] == 615
        assert environment(slow)["WORKER_DRAIN_SECONDS"] == "605"

    @pytest.mark.parametrize(("grace", "drain"), [(30, "20"), (900, "890"), (5, "0")])
    def test_the_templates_own_wins_and_the_worker_keeps_to_it(self, grace: int, drain: str) -> None:
        slow = job(longestItemSeconds=600, pod={"terminationGracePeriodSeconds": grace})
        assert pod_of(slow)["terminationGracePeriodSeconds"] == grace
        assert environment(slow)["WORKER_DRAIN_SECONDS"] == drain

    def test_a_null_of_the_template_is_no_time(self) -> None:
        slow = job(longestItemSeconds=600, pod={"terminationGracePeriodSeconds": None})
        assert pod_of(slow)["terminationGracePeriodSeconds"] == 615


class TestPriority:
    @pytest.mark.parametrize("priority", ["High", "Medium", "Low"])
    def test_each_has_its_class(self, priority: str) -> None:
        assert pod_of(job(priority=priority))["priorityClassName"] == f"bullherd-{priority.lower()}"

    def test_no_prefix_is_no_class(self) -> None:
        assert "priorityClassName" not in pod_of(job(), prefix="")

    def test_the_authors_class_wins(self) -> None:
        assert pod_of(job(pod={"priorityClassName": "mine"}))["priorityClassName"] == "mine"


class TestTls:
    def test_the_ca_and_the_client_certificate_are_files(self) -> None:
        variables = environment(job(), TLS)
        folder = "/var/run/bullherd/redis-tls"
        assert variables["REDIS_TLS"] == "true"
        assert variables["REDIS_TLS_CA_FILE"] == f"{folder}/ca.crt"
        assert variables["REDIS_TLS_CERT_FILE"] == f"{folder}/tls.crt"
        assert variables["REDIS_TLS_KEY_FILE"] == f"{folder}/tls.key"
        pod = pod_of(job(), TLS)
        assert pod["containers"][0]["volumeMounts"] == [
            {"name": "bullherd-redis-tls", "mountPath": folder, "readOnly": True}
        ]
        assert pod["volumes"] == [
            {
                "name": "bullherd-redis-tls",
                "projected": {
                    "sources": [
                        {"secret": {"name": "redis-ca", "items": [{"key": "my-ca.pem", "path": "ca.crt"}]}},
                        {
                            "secret": {
                                "name": "redis-client",
                                "items": [
                                    {"key": "tls.crt", "path": "tls.crt"},
                                    {"key": "tls.key", "path": "tls.key"},
                                ],
                            }
                        },
                    ]
                },
            }
        ]

    def test_a_public_authority_needs_no_volume(self) -> None:
        to = with_tls(connection())
        assert environment(job(), to)["REDIS_TLS"] == "true"
        assert "REDIS_TLS_CA_FILE" not in environment(job(), to)
        assert "volumes" not in pod_of(job(), to)
        assert "volumeMounts" not in pod_of(job(), to)["containers"][0]

    def test_plain_tcp_mounts_nothing_whatever_secrets_there_are(self) -> None:
        to = connection(ca=SecretKey("redis-ca", "ca.crt"), client_certificate="redis-client")
        assert "volumes" not in pod_of(job(), to)
        assert "REDIS_TLS_CA_FILE" not in environment(job(), to)

    def test_the_authors_volumes_and_mounts_stay(self) -> None:
        mine = job(
            pod={"volumes": [{"name": "data", "emptyDir": {}}]},
            container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        )
        pod = pod_of(mine, TLS)
        assert [volume["name"] for volume in pod["volumes"]] == ["data", "bullherd-redis-tls"]
        assert [m["name"] for m in pod["containers"][0]["volumeMounts"]] == ["data", "bullherd-redis-tls"]


class TestFingerprint:
    def test_it_is_the_same_in_every_process(self) -> None:
        """A value written down: were it salted or ordered by chance, each restart would roll every pod."""
        assert fingerprint_of(manifest_of(job())) == GOLDEN

    def test_the_order_of_fields_is_none_of_its_business(self) -> None:
        one = job(container={"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})
        other = job(container={"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}})
        assert fingerprint_of(manifest_of(one)) == fingerprint_of(manifest_of(other))

    @pytest.mark.parametrize(
        "changed",
        [
            job(scaling={"maxReplicas": 99, "cooldownSeconds": 1}),
            job(generation=7, version=99),
            job(status={"backlog": 1}),
        ],
        ids=["scaling", "generation", "status"],
    )
    def test_what_is_not_in_the_pods_does_not_change_it(self, changed: QueueJob) -> None:
        assert fingerprint_of(manifest_of(changed)) == GOLDEN

    @pytest.mark.parametrize(
        "changed",
        [
            job(container={"image": "worker:2"}),
            job(concurrency=2),
            job(queue="sms"),
            job(priority="High"),
            job(metadata={"labels": {"a": "b"}}),
            job(metadata={"annotations": {"a": "b"}}),
            job(pod={"nodeSelector": {"a": "b"}}),
            job(uid="uid-2"),
        ],
        ids=["image", "concurrency", "queue", "priority", "label", "annotation", "pod field", "owner"],
    )
    def test_what_is_in_the_pods_changes_it(self, changed: QueueJob) -> None:
        assert fingerprint_of(manifest_of(changed)) != GOLDEN

    def test_another_connection_changes_it(self) -> None:
        moved = replace(connection(), endpoint=replace(connection().endpoint, host="elsewhere"))
        assert fingerprint_of(manifest_of(job(), moved)) != GOLDEN
        assert fingerprint_of(manifest_of(job(), TLS)) != GOLDEN

    def test_another_password_in_the_same_secret_does_not(self) -> None:
        changed = replace(connection(), endpoint=replace(connection().endpoint, password="new"))
        assert fingerprint_of(manifest_of(job(), changed)) == GOLDEN


GOLDEN = "6511b97f6887a114"
