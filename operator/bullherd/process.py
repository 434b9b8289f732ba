"""What a process of Bullherd is made of, whichever it is: what it stands on, how it ends, Kopf and its
watches, and connections that are read again.

Our own tasks are made before Kopf's: on its way out Kopf cancels every task in the loop that is younger than
itself. Whatever of a process' tasks ends first ends the process; a restart is the honest repair.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import kopf

from bullherd.controllers.connections import Connections
from bullherd.handlers import kopf_settings
from bullherd.kube.client import Kubernetes
from bullherd.settings import ProcessSettings
from bullherd.telemetry.health import Health
from bullherd.telemetry.http import serve_telemetry
from bullherd.telemetry.logs import configure_logs
from bullherd.telemetry.watch_metrics import WatchMetrics

_CONNECTIONS_RELOAD = 5.0
"""Seconds between two looks at the folder of connections; the kubelet itself takes up to a minute to change
it.
"""


@asynccontextmanager
async def begun(
    settings: ProcessSettings, metrics: WatchMetrics
) -> AsyncIterator[tuple[Health, Kubernetes, asyncio.Event]]:
    """Logs, telemetry and the API server, for as long as the context lasts. The event is set when somebody
    asks the process to end.
    """
    configure_logs(settings.log_format, settings.log_level)
    health, stopping = Health(), asyncio.Event()
    stop_on_signals(stopping)
    async with (
        serve_telemetry(settings.http_host, settings.http_port, health, metrics),
        await Kubernetes.connect() as kubernetes,
    ):
        yield health, kubernetes, stopping


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set the event when somebody asks the process to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)


async def first_of(*coroutines: Coroutine[Any, Any, object]) -> int:
    """Run all, end all when one ends; its place in the list, or its exception."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    first = min(tasks.index(task) for task in done)
    tasks[first].result()
    return first


async def run_kopf(
    settings: ProcessSettings, register: Callable[[kopf.OperatorRegistry], None], stopping: asyncio.Event
) -> None:
    """Watch what ``register`` adds handlers for; returns when Kopf ends."""
    kopf_registry = kopf.OperatorRegistry()
    register(kopf_registry)
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=kopf_registry,
        settings=kopf_settings(watch_all=not settings.watch_namespaces),
        # Unused without peering, but Kopf would ask for the name of a user that a container need not have.
        identity=settings.pod_name,  # type: ignore[arg-type]  # Kopf's own type is private
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
    )
    # Kopf has just taken the signals for itself. It would then wait five seconds for loops of ours, which end
    # only when they are cancelled, and whoever waits for our end would wait with it.
    stop_on_signals(stopping)
    await kopf.run_tasks(tasks, ignored=ours)


async def keep_reading(connections: Connections, changed: Callable[[], None]) -> None:
    """Read the named connections again and again; ``changed`` is called when any differs from before."""
    while True:
        await asyncio.sleep(_CONNECTIONS_RELOAD)
        if await connections.reload():
            changed()
