"""One release of the chart for all tests here, in a namespace of its own, with everything in the cluster.

How to use it::

    async def test_something(place: Namespace, echo: Echo, node: BullmqNode, logs: PodLogs) -> None:
        name = await echo(concurrency=2, maxReplicas=3)    # a QueueJob and a queue, by a name of their own
        ids = await node.queue(name).add_bulk([{"sleep": 1}] * 4)

``place`` is the release's namespace, watched: operator, Redis and workers are all in it. ``node`` is a web
app with bullmq 6 whose Redis is the release's (``web_app`` is the same with 5 and 6). Of a test that fails
the logs of every pod are shown, also of those that are gone.

Needs the cluster of ``make cluster``, and Node 20. Images are built and loaded when they are not.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

import pytest
import pytest_asyncio

from dev.demo.port_forward import port_forward
from tests.chart.release import Cluster, Release, Values, image, own_namespace
from tests.cluster.queuejobs import ready
from tests.e2e.echo import echo_queuejob
from tests.e2e.pods import PodLogs, workers
from tests.fixtures.kubernetes import Api, Namespace
from tests.fixtures.node import BullmqNode, Major
from tests.fixtures.redis import free_port

POD_LIMIT_S = 45.0

Measured = Callable[[str], None]
_FIGURES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, below the tests' own result."""
    if figures := terminalreporter.config.stash.get(_FIGURES, []):
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(figure)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Takes a figure that is worth telling, also when all is well."""
    return request.config.stash.setdefault(_FIGURES, []).append


@pytest.fixture(scope="session")
def target(cluster: Any, helm: Any) -> Cluster:
    """The cluster, for kubectl and helm."""
    return Cluster(cluster.kubeconfig)


@pytest.fixture(scope="session")
def values(images: Mapping[str, str]) -> Values:
    """As it is installed by default, but that dead workers' items come back soon."""
    return {
        "image": image(images["bullherd"]),
        "crds": {"install": False},
        "operator": {"env": {"BULLHERD_STALLED_CHECK_SECONDS": "1"}},
        "redis": {"embedded": {"image": image(images["bullherd-redis"]), "persistence": {"size": "100Mi"}}},
    }


@pytest.fixture(scope="session")
def release(target: Cluster, crds: None, no_other_operator: None, values: Values) -> Iterator[Release]:
    """Installed; it minds its own namespace only."""
    with own_namespace(target, "e2e") as release:
        release.install(values, {"watchNamespaces": [release.namespace]})
        yield release


@pytest_asyncio.fixture
async def place(cluster: Any, release: Release) -> AsyncIterator[Namespace]:
    """The release's namespace, watched. A test's QueueJobs and their pods go after it."""
    api = await Api.connect(cluster.kubeconfig)
    watched = Namespace(api, release.namespace)
    watched.watch()
    await watched.when(lambda: len(watched.all("Pod")) >= 3)
    yield watched
    for body in watched.all("QueueJob"):
        name = body["metadata"]["name"]
        await watched.delete("QueueJob", name)
        await watched.when(lambda name=name: not workers(watched, name), POD_LIMIT_S)  # type: ignore[misc]
    await watched.unwatch()
    await api.close()


@pytest_asyncio.fixture
async def logs(place: Namespace) -> AsyncIterator[PodLogs]:
    """What all pods say; shown when the test fails."""
    followed = PodLogs(place)
    yield followed
    # pytest shows this for a test that failed, and for no other.
    sys.stderr.write(followed.text())
    await followed.close()


class RedisDoor:
    """The way from here to the release's Redis. A port that stays the same, also after ``reopen``."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._port = free_port()
        self._open = ExitStack()
        self.password = release.secret("bullherd-connection-default")["password"]

    @property
    def environment(self) -> dict[str, str]:
        """As a worker's, but for the address."""
        return {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self._port), "REDIS_PASSWORD": self.password}

    def reopen(self) -> None:
        """Lead to the Redis pod of now: a forwarded port dies with its pod."""
        self.close()
        place = (
            f"--kubeconfig={self._release.cluster.kubeconfig}",
            f"--namespace={self._release.namespace}",
        )
        command = ["kubectl", *place, "port-forward", "service/bullherd-redis", f"{self._port}:6379"]
        self._open.enter_context(port_forward(command, f"the Redis of {self._release.namespace}"))

    def close(self) -> None:
        """Close the way."""
        self._open.close()


@pytest.fixture
def redis_door(release: Release) -> Iterator[RedisDoor]:
    """Open when the test begins."""
    door = RedisDoor(release)
    door.reopen()
    yield door
    door.close()


async def _web_app(major: Major, door: RedisDoor) -> AsyncIterator[BullmqNode]:
    node = BullmqNode(major, door.environment)
    await node.start()
    yield node
    await node.close()


@pytest_asyncio.fixture
async def node(redis_door: RedisDoor, logs: PodLogs) -> AsyncIterator[BullmqNode]:
    """bullmq 6 on the release's Redis."""
    async for one in _web_app("v6", redis_door):
        yield one


@pytest_asyncio.fixture(params=["v5", "v6"])
async def web_app(
    request: pytest.FixtureRequest, redis_door: RedisDoor, logs: PodLogs
) -> AsyncIterator[BullmqNode]:
    """bullmq on the release's Redis; the test runs once for each major."""
    async for one in _web_app(request.param, redis_door):
        yield one


class Echo(Protocol):
    """What the fixture ``echo`` gives; arguments are those of ``echo_queuejob``, the name comes back."""

    async def __call__(self, *, until_ready: bool = True, **arguments: Any) -> str: ...


_numbers = itertools.count(1)


@pytest.fixture
def echo(place: Namespace, images: Mapping[str, str]) -> Echo:
    """Makes QueueJobs worked by the echo kind, each with a queue that no other test knows."""

    async def make(*, until_ready: bool = True, **arguments: Any) -> str:
        name = f"echo-{next(_numbers)}"
        reference = await asyncio.to_thread(lambda: images["bullherd-worker"])
        await place.create(echo_queuejob(name, reference, **arguments))
        if until_ready:
            await ready(place, name)
        return name

    return make
