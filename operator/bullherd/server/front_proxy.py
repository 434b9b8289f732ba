"""Follows what the API servers say of themselves: who certifies the front proxy, its names and its headers.

They keep it in a ConfigMap, and change it before they use another certificate. What cannot be read or
understood changes nothing: the last that could be stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bullherd.core.callers import FrontProxy, UnusableConfiguration
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.config_maps import read_config_map
from bullherd.server.tls import LiveContext, UnusableAuthorities
from bullherd.telemetry.health import Pulse

log = structlog.get_logger(__name__)

_INTERVAL = 5.0
"""Seconds between two looks; so long may an authority that was taken back still certify somebody."""

_RETRY = 1.0

_HINTS = {
    403: "the chart binds the Role extension-apiserver-authentication-reader of kube-system to the server",
    404: "the API server makes it, if it passes requests on at all",
}


class FrontProxyWatch:
    """``current`` as it was read last. ``distrusted`` is called when other authorities certify callers."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        config_map: str,
        live: LiveContext,
        distrusted: Callable[[], None],
        pulse: Pulse,
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace, _, self._name = config_map.partition("/")
        self._live = live
        self._distrusted = distrusted
        self._pulse = pulse
        self.current = FrontProxy()

    async def first(self) -> None:
        """Return when it is known; waits for as long as that takes."""
        while not await self._look():  # noqa: ASYNC110 - nobody tells us when it can be read
            await asyncio.sleep(_RETRY)

    async def run(self) -> None:
        """Follow it until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._look()

    async def _look(self) -> bool:
        """Read it once; False when it could not be read or understood."""
        self._pulse.beat()
        try:
            data = await read_config_map(self._kubernetes, self._namespace, self._name)
            fresh = FrontProxy.parse(data)
            if fresh.authorities != self.current.authorities:
                self._live.trust(fresh.authorities)
                self._distrusted()
        except KubernetesError as error:
            hint = _HINTS.get(error.status)
            log.warning("front_proxy_not_known", config_map=self._name, reason=error.message, hint=hint)
            return False
        except (UnusableAuthorities, UnusableConfiguration) as error:
            log.error("front_proxy_not_understood", config_map=self._name, reason=str(error))
            return False
        if fresh != self.current:
            names = sorted(fresh.names)
            log.info("front_proxy_known", names=names, passes_on=bool(fresh.authorities))
        self.current = fresh
        return True
