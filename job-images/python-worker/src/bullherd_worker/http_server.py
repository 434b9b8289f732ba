"""``/healthz`` and ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


class HttpServer:
    """The worker's two pages."""

    def __init__(
        self, problems: Callable[[], list[str]], measure: Callable[[], None], registry: CollectorRegistry
    ) -> None:
        self._problems = problems
        self._measure = measure
        self._registry = registry
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, for those who asked for a free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        found = self._problems()
        return web.Response(status=503 if found else 200, text="\n".join(found or ["ok"]) + "\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        self._measure()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
