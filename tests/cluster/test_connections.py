"""Connections: named ones from files, inline ones with Secrets; what is wrong is said, and heals by itself.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import pytest

from tests.cluster.queuejobs import condition, queuejob, ready, replicas
from tests.fixtures.kubernetes import Body, Namespace
from tests.fixtures.node import BullmqNode, StartNode
from tests.fixtures.operator import Operator, StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer, StartRedis

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


def secret(name: str, **values: str) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def inline(server: RedisServer, **more: object) -> Body:
    return {"host": "127.0.0.1", "port": server.endpoint.port, **more}


async def test_an_unknown_connection_heals_when_its_file_appears(
    namespace: Namespace,
    operator: Operator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders", redis={"connection": "shop"}))
    body = await ready(namespace, "orders", "ConnectionUnknown")
    assert "There is no connection 'shop'. Known ones for this namespace: default." in str(condition(body))
    assert namespace.current("Deployment", "orders") is None

    connections.write("shop", redis_server.endpoint)

    await replicas(namespace, "orders", 2)
    await ready(namespace, "orders")


async def test_a_namespace_that_may_not_use_a_connection(
    namespace: Namespace, operator: Operator, connections: Connections, redis_server: RedisServer
) -> None:
    connections.write("shop", redis_server.endpoint, namespaces=("other",))
    await namespace.create(queuejob("orders", redis={"connection": "shop"}))
    body = await ready(namespace, "orders", "ConnectionNotAllowed")
    assert f"not open to the namespace '{namespace.name}'" in condition(body)["message"]

    connections.write("shop", redis_server.endpoint, namespaces=("other", namespace.name))
    await ready(namespace, "orders")


async def test_a_broken_file_is_told_without_its_password_and_holds_what_runs(
    namespace: Namespace, operator: Operator, connections: Connections, bullmq_node_6: BullmqNode
) -> None:
    await bullmq_node_6.queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 2)

    connections.write_text("default", "{host: 127.0.0.1, port: many, password: hunter2}")

    body = await ready(namespace, "orders", "ConnectionInvalid")
    assert "port" in condition(body)["message"]
    assert "hunter2" not in str(body)
    assert "hunter2" not in operator.log.read_text()
    assert body["status"]["scaling"]["desiredReplicas"] == 2
    await replicas(namespace, "orders", 2)


async def test_a_queue_that_moves_to_another_server(
    namespace: Namespace,
    operator: Operator,
    connections: Connections,
    start_redis: StartRedis,
    start_node: StartNode,
) -> None:
    await namespace.create(queuejob("orders"))
    await ready(namespace, "orders")
    other = start_redis()
    await (await start_node("v6", other)).queue("orders").add_bulk(range(3))

    connections.write("default", other.endpoint)

    deployment = await replicas(namespace, "orders", 3)
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "REDIS_PORT", "value": str(other.endpoint.port)} in variables


async def test_inline_redis_without_a_password(
    namespace: Namespace, operator: Operator, start_redis: StartRedis, start_node: StartNode
) -> None:
    server = start_redis(db=3)
    await (await start_node("v6", server)).queue("orders").add_bulk(range(2))
    await namespace.create(queuejob("orders", redis=inline(server, db=3)))
    await replicas(namespace, "orders", 2)


async def test_a_missing_secret_heals_when_it_is_made(
    namespace: Namespace, operator: Operator, start_redis: StartRedis, start_node: StartNode
) -> None:
    server = start_redis(password="s3cret")
    await (await start_node("v6", server)).queue("orders").add_bulk(range(2))
    reference = {"name": "redis", "key": "pass"}
    await namespace.create(queuejob("orders", redis=inline(server, passwordSecretRef=reference)))
    body = await ready(namespace, "orders", "SecretMissing")
    assert f"no Secret 'redis' in the namespace '{namespace.name}'" in condition(body)["message"]

    await namespace.create(secret("redis", **{"pass": "s3cret"}))

    deployment = await replicas(namespace, "orders", 2, limit=30)
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": reference}} in variables
    await ready(namespace, "orders")


async def test_a_secret_without_the_key(
    namespace: Namespace, operator: Operator, redis_server: RedisServer
) -> None:
    await namespace.create(secret("redis", other="x"))
    redis = inline(redis_server, passwordSecretRef={"name": "redis", "key": "pass"})
    await namespace.create(queuejob("orders", redis=redis))
    body = await ready(namespace, "orders", "SecretIncomplete")
    assert "The Secret 'redis' has no text under the key 'pass'" in condition(body)["message"]


async def test_a_wrong_password_heals_when_the_secret_is_mended(
    namespace: Namespace, operator: Operator, start_redis: StartRedis, start_node: StartNode
) -> None:
    server = start_redis(username="app", password="s3cret")
    await (await start_node("v6", server)).queue("orders").add_bulk(range(2))
    await namespace.create(secret("redis", password="hunter2"))
    redis = inline(server, username="app", passwordSecretRef={"name": "redis"})
    await namespace.create(queuejob("orders", redis=redis))
    body = await ready(namespace, "orders", "QueueUnreadable")
    assert "username" in condition(body)["message"] or "password" in condition(body)["message"]
    assert "hunter2" not in str(body["status"])
    assert "hunter2" not in operator.log.read_text()

    await namespace.patch("Secret", "redis", {"stringData": {"password": "s3cret"}})

    await replicas(namespace, "orders", 2, limit=30)
    await ready(namespace, "orders")


async def test_a_password_that_is_changed_while_workers_run(
    namespace: Namespace,
    start_operator: StartOperator,
    connections: Connections,
    start_redis: StartRedis,
    start_node: StartNode,
) -> None:
    server = start_redis(password="old")
    await (await start_node("v6", server)).queue("orders").add_bulk(range(2))
    connections.write("default", server.endpoint)
    await start_operator()
    await namespace.create(queuejob("orders"))
    await replicas(namespace, "orders", 2)
    client = server.client()
    await client.config_set("requirepass", "new")
    await client.client_kill_filter(_type="normal", skipme=True)
    await ready(namespace, "orders", "QueueUnreadable")

    text = (connections.folder / "default.yaml").read_text()
    connections.write_text("default", text.replace("old", "new"))

    await ready(namespace, "orders")
    assert {version.body["spec"]["replicas"] for version in namespace.history("Deployment", "orders")} <= {
        0,
        2,
    }
    await replicas(namespace, "orders", 2)
