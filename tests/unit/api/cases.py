"""QueueJobs that are accepted and that are refused, for the parser and for the API server alike.

`tests/unit/api/test_parse.py` runs both tables through the models, `tests/cluster/test_crds.py` through a
real API server. A rule whose CEL and whose Python differ fails one of the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]

CONTAINER: Body = {"name": "worker", "image": "registry.example/worker:1"}
TEMPLATE: Body = {"spec": {"containers": [CONTAINER]}}


def queuejob(name: str = "emails", **spec: Any) -> Body:
    """The least QueueJob there is, with parts of its spec replaced; a part that is None is left out."""
    parts = {"queue": {"name": "emails"}, "template": TEMPLATE} | spec
    return {
        "apiVersion": "bullherd.dev/v1alpha1",
        "kind": "QueueJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {key: value for key, value in parts.items() if value is not None},
    }


def with_pod(**pod: Any) -> Body:
    """A QueueJob whose pod has these fields."""
    return queuejob(template={"spec": {"containers": [CONTAINER]} | pod})


def with_container(**fields: Any) -> Body:
    """A QueueJob whose one container has these fields; one that is None is left out."""
    container = {key: value for key, value in (CONTAINER | fields).items() if value is not None}
    return with_pod(containers=[container])


MORNINGS: Body = {
    "schedule": "45 8 * * 1-5",
    "timeZone": "Europe/Berlin",
    "duration": "2h30m",
    "minReplicas": 5,
}


def with_floors(*floors: Body) -> Body:
    """A QueueJob with these floors."""
    return queuejob(scaling={"floors": list(floors)})


@dataclass(frozen=True)
class Accepted:
    """``because`` reads after "accepts"."""

    because: str
    body: Body = field(repr=False)

    def __str__(self) -> str:
        return self.because


@dataclass(frozen=True)
class Refused:
    """``path`` and ``words`` are in the parser's sentence and in the API server's alike."""

    because: str
    body: Body = field(repr=False)
    path: str
    words: str

    def __str__(self) -> str:
        return self.because


ACCEPTED = (
    Accepted("the least", queuejob()),
    Accepted("the longest name", queuejob(name="a" * 46)),
    Accepted(
        "a queue name with every kind of printable character", queuejob(queue={"name": "Ab9-_.{x}/@!~"})
    ),
    Accepted("a prefix with a hash tag", queuejob(queue={"name": "q", "prefix": "{shop}"})),
    Accepted(
        "a prefix with a colon inside, as BullMQ does", queuejob(queue={"name": "q", "prefix": "shop:live"})
    ),
    Accepted("a named connection", queuejob(redis={"connection": "shop.cache-1"})),
    Accepted("an inline host", queuejob(redis={"host": "redis"})),
    Accepted("a host with a final dot", queuejob(redis={"host": "redis.shop.svc.cluster.local."})),
    Accepted("an IPv4 address", queuejob(redis={"host": "10.1.2.3", "port": 1, "db": 15})),
    Accepted("an IPv6 address", queuejob(redis={"host": "fd00::7", "port": 65535})),
    Accepted(
        "everything that goes with an inline host",
        queuejob(
            redis={
                "host": "redis",
                "port": 6380,
                "db": 2,
                "username": "worker",
                "passwordSecretRef": {"name": "redis-password", "key": "the_Key.1"},
                "tls": {
                    "enabled": True,
                    "caSecretRef": {"name": "redis-ca"},
                    "clientCertificateSecretRef": {"name": "redis-client"},
                },
            }
        ),
    ),
    Accepted("each priority", queuejob(priority="Low")),
    Accepted("the highest concurrency", queuejob(concurrency=1000)),
    Accepted("as many at least as at most", queuejob(scaling={"minReplicas": 3, "maxReplicas": 3})),
    Accepted("no cooldown", queuejob(scaling={"cooldownSeconds": 0})),
    Accepted(
        "every field of scaling",
        queuejob(
            scaling={
                "minReplicas": 1,
                "maxReplicas": 10_000,
                "itemsPerReplica": 1_000_000,
                "engine": "Direct",
                "activationBacklog": 1_000_000,
                "cooldownSeconds": 86_400,
                "scaleDownDelaySeconds": 86_400,
                "maxScaleUpPerSecond": 10_000,
                "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}},
                "extraMetrics": [{"type": "Resource", "resource": {"name": "cpu"}}],
                "floors": [MORNINGS],
            }
        ),
    ),
    Accepted("as many floors as there may be", with_floors(*[MORNINGS] * 20)),
    Accepted(
        "floors in every spelling",
        with_floors(
            {"schedule": "@weekly", "duration": "168h", "minReplicas": 10_000},
            {"schedule": " */15  9-17/2 1,15 JAN-jun ? ", "duration": "45s", "minReplicas": 1},
            {"schedule": "30 0 8 * * *", "timeZone": "Etc/GMT+2", "duration": "0h90m", "minReplicas": 1},
        ),
    ),
    Accepted(
        "a null as if it were absent",
        queuejob(scaling={"minReplicas": None}, redis={"connection": "a", "port": None}),
    ),
    Accepted(
        "labels and annotations on the pods",
        queuejob(template=TEMPLATE | {"metadata": {"labels": {"a": "b"}}}),
    ),
    Accepted(
        "a pod with fields that only Kubernetes knows",
        with_pod(shareProcessNamespace=True, tomorrow={"x": [1]}),
    ),
    Accepted(
        "containers with anything that Kubernetes has",
        with_container(
            env=[
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
            resources={"limits": {"memory": "1Gi"}},
        ),
    ),
    Accepted(
        "init containers, side containers and volumes",
        with_pod(
            containers=[CONTAINER, {"name": "proxy", "image": "proxy"}],
            initContainers=[{"name": "setup", "image": "setup"}],
            volumes=[{"name": "data", "emptyDir": {}}],
        ),
    ),
)

_NAME = "a QueueJob's name has at most 46 characters and no '.'"
_QUEUE = "a queue's name is printable ASCII without spaces and ':'"
_PREFIX = "a prefix is printable ASCII without spaces, and its last character is no ':'"
_ONE_REDIS = "give exactly one of connection"
_INLINE_ONLY = "port, db, username, passwordSecretRef and tls go with host"
_HOST = "host is a host name or an IP address alone"
_SCHEDULE = "a schedule has five fields (minute, hour, day of month, month, day of week)"
_TIME_ZONE = "a time zone is an IANA name such as Europe/Berlin or UTC"
_DURATION = "a duration is hours, minutes and seconds, such as 2h30m, 90m or 45s"
_SECRET_NAME = "a name has only lower case letters, digits, '-' and '.'"

REFUSED = (
    Refused("a name that pods cannot be called after", queuejob(name="a" * 47), "", _NAME),
    Refused("a name with a dot", queuejob(name="a.b"), "", _NAME),
    Refused("no queue", queuejob(queue=None), "spec.queue", ""),
    Refused("a queue without a name", queuejob(queue={"prefix": "bull"}), "spec.queue.name", ""),
    Refused("an empty queue name", queuejob(queue={"name": ""}), "spec.queue.name", "at least 1"),
    Refused("a queue name with a colon", queuejob(queue={"name": "a:b"}), "spec.queue.name", _QUEUE),
    Refused("a queue name with a space", queuejob(queue={"name": "a b"}), "spec.queue.name", _QUEUE),
    Refused(
        "a queue name with a newline at its end", queuejob(queue={"name": "a\n"}), "spec.queue.name", _QUEUE
    ),
    Refused("a queue name beyond ASCII", queuejob(queue={"name": "émails"}), "spec.queue.name", _QUEUE),
    Refused(
        "a prefix with a space", queuejob(queue={"name": "q", "prefix": "a b"}), "spec.queue.prefix", _PREFIX
    ),
    Refused(
        "a prefix that ends in a colon",
        queuejob(queue={"name": "q", "prefix": "bull:"}),
        "spec.queue.prefix",
        _PREFIX,
    ),
    Refused("neither connection nor host", queuejob(redis={}), "spec.redis", _ONE_REDIS),
    Refused("a port alone", queuejob(redis={"port": 6379}), "spec.redis", _ONE_REDIS),
    Refused(
        "connection and host", queuejob(redis={"connection": "a", "host": "b"}), "spec.redis", _ONE_REDIS
    ),
    *(
        Refused(
            f"{name} beside a connection",
            queuejob(redis={"connection": "a", name: value}),
            "spec.redis",
            _INLINE_ONLY,
        )
        for name, value in {
            "port": 6379,
            "db": 0,
            "username": "u",
            "passwordSecretRef": {"name": "s"},
            "tls": {"enabled": False},
        }.items()
    ),
    Refused(
        "a connection with capitals",
        queuejob(redis={"connection": "Default"}),
        "spec.redis.connection",
        _SECRET_NAME,
    ),
    Refused("a URL as host", queuejob(redis={"host": "redis://redis"}), "spec.redis.host", _HOST),
    Refused("a host with its port", queuejob(redis={"host": "redis:6379"}), "spec.redis.host", _HOST),
    Refused(
        "port 0", queuejob(redis={"host": "a", "port": 0}), "spec.redis.port", "greater than or equal to 1"
    ),
    Refused(
        "port 65536",
        queuejob(redis={"host": "a", "port": 65536}),
        "spec.redis.port",
        "less than or equal to 65535",
    ),
    Refused(
        "a database below 0",
        queuejob(redis={"host": "a", "db": -1}),
        "spec.redis.db",
        "greater than or equal to 0",
    ),
    Refused(
        "a Secret that cannot exist",
        queuejob(redis={"host": "a", "passwordSecretRef": {"name": "A_b"}}),
        "spec.redis.passwordSecretRef.name",
        _SECRET_NAME,
    ),
    Refused(
        "a key that no Secret has",
        queuejob(redis={"host": "a", "passwordSecretRef": {"name": "a", "key": "a b"}}),
        "spec.redis.passwordSecretRef.key",
        "a key of a Secret has only letters",
    ),
    Refused(
        "an authority without a Secret",
        queuejob(redis={"host": "a", "tls": {"caSecretRef": {"key": "ca.crt"}}}),
        "spec.redis.tls.caSecretRef.name",
        "",
    ),
    Refused("an unknown priority", queuejob(priority="Urgent"), "spec.priority", "Urgent"),
    Refused("a mode that is not there yet", queuejob(mode="Jobs"), "spec.mode", "Jobs"),
    Refused("an unknown engine", queuejob(scaling={"engine": "KEDA"}), "spec.scaling.engine", "KEDA"),
    Refused(
        "a behavior that is no object",
        queuejob(scaling={"behavior": ["scaleUp"]}),
        "spec.scaling.behavior",
        "",
    ),
    Refused(
        "a metric without a type",
        queuejob(scaling={"extraMetrics": [{"resource": {"name": "cpu"}}]}),
        "spec.scaling.extraMetrics",
        "type",
    ),
    Refused(
        "no growth at all",
        queuejob(scaling={"maxScaleUpPerSecond": 0}),
        "spec.scaling",
        "greater than or equal to 1",
    ),
    Refused("no concurrency", queuejob(concurrency=0), "spec.concurrency", "greater than or equal to 1"),
    Refused(
        "too much concurrency", queuejob(concurrency=1001), "spec.concurrency", "less than or equal to 1000"
    ),
    Refused("a number in quotes", queuejob(concurrency="5"), "spec.concurrency", "integer"),
    Refused("half a number", queuejob(concurrency=1.5), "spec.concurrency", "integer"),
    Refused(
        "more at least than at most",
        queuejob(scaling={"minReplicas": 4, "maxReplicas": 3}),
        "spec.scaling",
        "minReplicas must not be above maxReplicas",
    ),
    Refused(
        "more at least than at most by default",
        queuejob(scaling={"minReplicas": 11}),
        "spec.scaling",
        "minReplicas must not be above maxReplicas",
    ),
    Refused(
        "no workers at most",
        queuejob(scaling={"maxReplicas": 0}),
        "spec.scaling.maxReplicas",
        "greater than or equal to 1",
    ),
    Refused(
        "a negative minimum",
        queuejob(scaling={"minReplicas": -1}),
        "spec.scaling.minReplicas",
        "greater than or equal to 0",
    ),
    Refused(
        "no items for a replica",
        queuejob(scaling={"itemsPerReplica": 0}),
        "spec.scaling.itemsPerReplica",
        "greater than or equal to 1",
    ),
    Refused(
        "a cooldown of more than a day",
        queuejob(scaling={"cooldownSeconds": 86_401}),
        "spec.scaling.cooldownSeconds",
        "less than or equal to 86400",
    ),
    Refused("too many floors", with_floors(*[MORNINGS] * 21), "spec.scaling.floors", "at most 20 items"),
    *(
        Refused(
            f"{because} of a floor", with_floors(MORNINGS | fields), f"spec.scaling.floors[0].{path}", words
        )
        for because, fields, path, words in (
            ("four fields in the schedule", {"schedule": "45 8 * *"}, "schedule", _SCHEDULE),
            ("a time zone in the schedule", {"schedule": "TZ=UTC 45 8 * * *"}, "schedule", _SCHEDULE),
            ("an interval as the schedule", {"schedule": "@every 5m"}, "schedule", _SCHEDULE),
            ("an offset as the time zone", {"timeZone": "+01:00"}, "timeZone", _TIME_ZONE),
            ("no duration", {"duration": "0h0m0s"}, "duration", _DURATION),
            ("a duration without a unit", {"duration": "90"}, "duration", _DURATION),
            ("a duration in days", {"duration": "1d"}, "duration", _DURATION),
            ("a duration from small to large", {"duration": "30m2h"}, "duration", _DURATION),
            ("a duration with a newline at its end", {"duration": "2h\n"}, "duration", _DURATION),
            ("a duration of more than a week", {"duration": "168h1s"}, "duration", _DURATION),
            (
                "the longest duration that can be written",
                {"duration": "999999h999999m999999s"},
                "duration",
                _DURATION,
            ),
            ("no replicas", {"minReplicas": 0}, "minReplicas", "greater than or equal to 1"),
        )
    ),
    Refused("no template", queuejob(template=None), "spec.template", ""),
    Refused("a template without a pod", queuejob(template={"metadata": {}}), "spec.template.spec", ""),
    Refused(
        "a label that is a number",
        queuejob(template=TEMPLATE | {"metadata": {"labels": {"a": 1}}}),
        "spec.template.metadata.labels.a",
        "string",
    ),
    Refused("a pod without containers", queuejob(template={"spec": {}}), "spec.template.spec.containers", ""),
    Refused(
        "an empty list of containers",
        with_pod(containers=[]),
        "spec.template.spec.containers",
        "at least 1 item",
    ),
    Refused(
        "a container without a name", with_container(name=None), "spec.template.spec.containers[0].name", ""
    ),
    Refused(
        "a container without an image",
        with_container(image=None),
        "spec.template.spec.containers[0].image",
        "",
    ),
    Refused(
        "a container that Kubernetes would not name so",
        with_container(name="Worker"),
        "spec.template.spec.containers[0].name",
        "a container's name has only lower case letters, digits and '-'",
    ),
    Refused(
        "an environment that is no list",
        with_container(env="A=1"),
        "spec.template.spec.containers[0].env",
        "",
    ),
    Refused(
        "a variable without a name",
        with_container(env=[{"value": "1"}]),
        "spec.template.spec.containers[0].env[0].name",
        "",
    ),
    Refused(
        "a volume without a name",
        with_pod(volumes=[{"emptyDir": {}}]),
        "spec.template.spec.volumes[0].name",
        "",
    ),
)

REFUSED_BY_THE_SERVER_ALONE = (
    Refused("two containers of one name", with_pod(containers=[CONTAINER, CONTAINER]), "", "Duplicate value"),
    Refused(
        "two volumes of one name", with_pod(volumes=[{"name": "a"}, {"name": "a"}]), "", "Duplicate value"
    ),
)
"""What only a list told apart by a key makes wrong; Kubernetes would refuse the pod too."""
