"""Every process' own HTTP port: ``/healthz``, ``/readyz`` and ``/metrics``; an operator's standby serves it
too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bullherd.telemetry.health import Health
from bullherd.telemetry.watch_metrics import WatchMetrics


@asynccontextmanager
async def serve_telemetry(host: str, port: int, health: Health, metrics: WatchMetrics) -> AsyncIterator[None]:
    """Serve while the context lasts."""

    async def healthz(_: web.Request) -> web.Response:
        failures = health.failures()
        return web.json_response({"failures": failures}, status=503 if failures else 200)

    async def readyz(_: web.Request) -> web.Response:
        failures = health.failures()
        ready = health.ready and not failures
        return web.json_response({"ready": ready, "failures": failures}, status=200 if ready else 503)

    async def metrics_text(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_text)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
