"""The values of real queues, by metric, selector and namespace. Needs the cluster, redis-server and Node with
bullmq.
"""

from __future__ import annotations

import time
from datetime import datetime

import pytest
import pytest_asyncio

from tests.cluster.queuejobs import queuejob
from tests.fixtures.cluster import RunningCluster
from tests.fixtures.kubernetes import Namespace, open_namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer
from tests.fixtures.server import METRICS, Server, StartServer
from tests.server.asking import BACKLOG, Reader

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]


@pytest_asyncio.fixture
async def server(start_server: StartServer, connections: Connections, redis_server: RedisServer) -> Server:
    connections.write("default", redis_server.endpoint)
    return await start_server()


@pytest_asyncio.fixture
async def reader(namespace: Namespace) -> Reader:
    return await Reader.of(namespace)


async def test_every_metric(
    namespace: Namespace, server: Server, reader: Reader, bullmq_node: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    queue = bullmq_node.queue("orders")
    await queue.add_bulk(range(3))
    worker = await queue.worker(concurrency=2, hold=True)
    await worker.started(2)
    await queue.add("urgent", priority=1)
    await queue.add("due", delay=1)
    await queue.add("later", delay=3_600_000)
    began = time.time()

    await reader.until_values(server, {"orders": 5})
    for metric, value in {"waiting": 2, "active": 2, "delayed_due": 1}.items():
        await reader.until_values(server, {"orders": value}, metric=f"bullherd_queue_{metric}")

    status, body = await reader.ask(server, metric="bullherd_queue_oldest_item_age_seconds")
    (item,) = body["items"]
    assert status == 200
    assert item["metricLabels"] == {"queuejob": "orders", "queue": "orders", "prefix": "bull"}
    read_at = datetime.fromisoformat(item["timestamp"]).timestamp()
    assert began - 60 < read_at <= time.time()
    assert 0 < float(item["value"].removesuffix("m")) < 60_000

    await queue.pause()
    await reader.until_values(server, {"orders": 2})
    await reader.until_values(server, {"orders": 2}, metric="bullherd_queue_waiting")


async def test_selectors_and_namespaces(
    namespace: Namespace, server: Server, reader: Reader, bullmq_node_6: BullmqNode
) -> None:
    for number, name in enumerate(("orders", "mails", "texts"), start=1):
        await namespace.create(queuejob(name, queue=f"queue-{name}"))
        await bullmq_node_6.queue(f"queue-{name}").add_bulk(range(number))
    everything = {"orders": 1, "mails": 2, "texts": 3}
    await reader.until_values(server, everything)
    for selector, names in {
        "queuejob=orders": ["orders"],
        "queuejob==orders,queue=queue-orders,prefix=bull": ["orders"],
        "queuejob=orders,queue=queue-mails": [],
        "queue=queue-mails": ["mails"],
        "queuejob!=orders": ["mails", "texts"],
        "queuejob in (orders,texts)": ["orders", "texts"],
        "queue notin (queue-texts)": ["orders", "mails"],
        "prefix": ["orders", "mails", "texts"],
        "!prefix": [],
        "prefix=bull": ["orders", "mails", "texts"],
        "queuejob=no-such": [],
        "": ["orders", "mails", "texts"],
    }.items():
        wanted = {name: str(everything[name]) for name in names}
        assert await reader.values(server, selector) == wanted, selector

    for malformed in ("queuejob in", "queuejob=a b", "=x", "queuejob=Ä"):
        status, body = await reader.ask(server, malformed)
        assert (status, body["reason"], body["kind"]) == (400, "BadRequest", "Status"), malformed
        assert "The label selector cannot be read" in body["message"]


async def test_what_there_is_not(server: Server, reader: Reader, namespace: Namespace) -> None:
    place = f"{METRICS}/namespaces/{namespace.name}"
    for path, status, reason in [
        (f"{place}/no_such_metric", 404, "NotFound"),
        (f"{place}/{BACKLOG}/a-name", 404, "NotFound"),
        (f"{place}/{BACKLOG}?watch=1", 403, "Forbidden"),
        (f"{place}/{BACKLOG}?fieldSelector=metadata.name%3Da", 400, "BadRequest"),
        (f"{METRICS}/{BACKLOG}", 403, "Forbidden"),
        ("/apis/external.metrics.k8s.io", 200, None),
        ("/apis/external.metrics.k8s.io/v1", 404, "NotFound"),
        ("/openapi/v2", 200, None),
        ("/openapi/v3", 200, None),
        ("/openapi/v3/apis/external.metrics.k8s.io/v1beta1", 404, "NotFound"),
    ]:
        answered, body = await server.ask(path, token=reader.token)
        assert (answered, body.get("reason")) == (status, reason), path
    status, body = await server.ask(f"{place}/no_such_metric", token=reader.token)
    assert f"there are {BACKLOG}, bullherd_queue_waiting" in body["message"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await server.ask(f"{place}/{BACKLOG}", token=reader.token, method=method))[0] == 403


async def test_two_queuejobs_of_one_queue_are_both_answered(
    namespace: Namespace, server: Server, reader: Reader, bullmq_node_6: BullmqNode
) -> None:
    for name in ("older", "younger"):
        await namespace.create(queuejob(name, queue="orders"))
    await bullmq_node_6.queue("orders").add_bulk(range(4))
    await reader.until_values(server, {"older": 4, "younger": 4})
    await namespace.delete("QueueJob", "younger")
    await reader.until_values(server, {"older": 4})
    await bullmq_node_6.queue("orders").add()
    await reader.until_values(server, {"older": 5})


async def test_a_queuejob_that_comes_changes_and_goes(
    namespace: Namespace, server: Server, reader: Reader, bullmq_node_6: BullmqNode
) -> None:
    assert await reader.values(server) == {}
    await bullmq_node_6.queue("orders").add_bulk(range(10))
    await namespace.create(queuejob("orders", concurrency=1, itemsPerReplica=3))
    await reader.until_values(server, {"orders": 10})
    await namespace.patch("QueueJob", "orders", {"spec": {"redis": {"connection": "no-such"}}})
    await reader.until(server, lambda seen: "There is no connection 'no-such'" in seen)
    await namespace.patch("QueueJob", "orders", {"spec": {"redis": {"connection": "default"}}})
    await reader.until_values(server, {"orders": 10})
    await namespace.delete("QueueJob", "orders")
    await reader.until_values(server, {})


async def test_one_queue_that_is_not_known_makes_no_partial_sum(
    namespace: Namespace, server: Server, reader: Reader, redis_server: RedisServer
) -> None:
    await redis_server.client().set("bull:spoilt:wait", "no list")
    await namespace.create(queuejob("orders"))
    await reader.until_values(server, {"orders": 0})
    await namespace.create(queuejob("spoilt"))
    await reader.until(
        server, lambda seen: "The queue of the QueueJob 'spoilt' has not been read yet: " in seen
    )
    assert await reader.values(server, "queuejob=orders") == {"orders": "0"}
    assert "bull:spoilt" in await reader.values(server, "queuejob=spoilt")
    assert await server.http("/readyz") == (200, '{"ready": true, "failures": []}')


async def test_what_it_counts(
    namespace: Namespace, server: Server, reader: Reader, bullmq_node_6: BullmqNode
) -> None:
    await namespace.create(queuejob("orders"))
    await bullmq_node_6.queue("orders").add()
    await reader.until_values(server, {"orders": 1})
    asked = {"metric": BACKLOG, "code": "200"}
    before = await server.metric("bullherd_server_requests_total", lambda count: count > 0, **asked)
    await reader.values(server)
    await reader.values(server, "=")
    for metric in ("no_such_metric", "another"):
        await reader.ask(server, metric=metric)
    await server.ask("/apis")
    counted = await server.metrics("bullherd_server_requests_total")
    assert counted[(("code", "200"), ("metric", BACKLOG))] == before + 1
    assert counted[(("code", "400"), ("metric", BACKLOG))] == 1
    assert counted[(("code", "404"), ("metric", "other"))] == 2, "no series for whatever is asked for"
    assert counted[(("code", "401"), ("metric", "discovery"))] == 1
    await server.metric("bullherd_server_request_seconds_count", lambda count: count > before, metric=BACKLOG)
    await server.metric("bullherd_server_oldest_reading_age_seconds", lambda age: 0 < age < 5)
    await server.metric("bullherd_redis_read_seconds_count", lambda count: count > 0)


async def test_it_changes_nothing_in_redis(
    namespace: Namespace,
    server: Server,
    reader: Reader,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
) -> None:
    """Not even a dead worker's items are taken back: that is the operator's."""
    await namespace.create(queuejob("orders"))
    queue = bullmq_node_6.queue("orders")
    await queue.add()
    worker = await queue.worker(hold=True)
    await worker.started(1)
    worker.kill()
    redis = redis_server.client()
    await redis.delete(*await redis.keys("bull:orders:*:lock"))
    await redis.config_resetstat()
    await reader.until_values(server, {"orders": 1}, metric="bullherd_queue_active")
    reads = await server.metric("bullherd_redis_read_seconds_count", lambda count: count > 0)
    await server.metric("bullherd_redis_read_seconds_count", lambda count: count > reads + 2)
    used = {name.removeprefix("cmdstat_") for name in await redis.info("commandstats")}
    commands = await redis.command()
    assert "evalsha_ro" in used
    assert used.isdisjoint({"eval", "evalsha"}), "these may write"
    assert [name for name in used & commands.keys() if "write" in commands[name]["flags"]] == []


async def test_a_namespace_that_is_not_watched(
    cluster: RunningCluster, namespace: Namespace, server: Server, bullmq_node_6: BullmqNode
) -> None:
    async with open_namespace(cluster.kubeconfig, "bullherd-test") as another:
        await namespace.create(queuejob("orders"))
        await another.create(queuejob("orders"))
        reader = await Reader.of(another)
        status, body = await reader.ask(server, "queuejob=orders")
        assert (status, body["reason"]) == (404, "NotFound")
        assert f"Bullherd does not watch the namespace '{another.name}'" in body["message"]
