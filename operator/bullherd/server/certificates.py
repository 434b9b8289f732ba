"""Keeps the server's certificate: reads what all replicas share, decides with the core, writes, serves.

Replicas may try the same at once; the API server lets one of them through, and the others read what it wrote.
A Secret that somebody emptied is filled again with what this process holds, for API servers trust that.
Whatever fails, what was served before is served on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog

from bullherd.core.certificates import (
    Authority,
    CertificatePlan,
    CertificateTerms,
    Published,
    StoredCertificates,
    bundle_to_publish,
    plan_certificates,
)
from bullherd.kube.ca_bundles import CaBundle, read_ca_bundle, write_ca_bundle
from bullherd.kube.client import Kubernetes, KubernetesError
from bullherd.kube.secrets import SecretVersion, load_secret, store_secret
from bullherd.server.issuing import (
    CA,
    CA_KEY,
    LEAF,
    LEAF_KEY,
    issue_authority,
    issue_leaf,
    read_authorities,
    stored_certificates,
)
from bullherd.server.tls import LiveContext
from bullherd.settings import ServerSettings
from bullherd.telemetry.health import Pulse
from bullherd.telemetry.server_metrics import ServerMetrics

log = structlog.get_logger(__name__)

_INTERVAL = 5.0
"""Seconds between two looks, at the most. So long may a new APIService be without our authorities."""

_RETRY = 1.0
"""Seconds until another look after one that failed, while there is nothing to serve yet."""

_HINTS = {
    403: "may the server's ServiceAccount get and patch it? The chart grants it",
    404: "the chart makes it, empty; make it again, or upgrade the release",
}


class CertificateKeeper:
    """One replica's part in it. ``beat`` the pulse each time round."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        settings: ServerSettings,
        live: LiveContext,
        metrics: ServerMetrics,
        pulse: Pulse,
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace = settings.namespace
        self._secret = settings.certificate_secret
        self._service = settings.service_name
        self._live = live
        self._metrics = metrics
        self._pulse = pulse
        self._terms = CertificateTerms(settings.certificate_lifetime_seconds)
        short = f"{self._service}.{self._namespace}"
        self._names = (f"{short}.svc", short, self._service)
        self._held: Mapping[str, str] = {}
        self._newest_seen: tuple[Authority, float] | None = None

    async def first(self) -> None:
        """Return when there is a certificate to serve; waits for as long as that takes."""
        while not self._held:
            await self._look()
            if not self._held:
                await asyncio.sleep(_RETRY)

    async def run(self) -> None:
        """Keep it until cancelled."""
        while True:
            await asyncio.sleep(min(_INTERVAL, self._terms.settle / 2))
            await self._look()

    async def _look(self) -> None:
        self._pulse.beat()
        try:
            await self._turn()
        except KubernetesError as error:
            if not error.conflict:
                hint = _HINTS.get(error.status)
                log.warning("certificate_not_kept", secret=self._secret, reason=error.message, hint=hint)

    async def _turn(self) -> None:
        now = time.time()
        secret = await load_secret(self._kubernetes, self._namespace, self._secret)
        values = secret.values if secret.values.keys() & {CA, LEAF} else self._held
        stored = stored_certificates(values)
        bundle = await read_ca_bundle(self._kubernetes, self._namespace, self._service)
        published = self._published(stored, bundle, now)
        plan = plan_certificates(stored, published, self._names, now, self._terms)
        values = self._carry_out(plan, values, now)
        if values != {key: secret.values.get(key) for key in values}:
            fresh = SecretVersion(values, secret.version)
            await store_secret(self._kubernetes, self._namespace, self._secret, fresh)
        self._serve(values)
        if bundle is not None and published is not None:
            await self._publish(stored_certificates(values), bundle, published, now)

    def _published(self, stored: StoredCertificates, bundle: CaBundle | None, now: float) -> Published | None:
        """What the APIService says, and since when we have seen the newest authority there."""
        authorities = read_authorities(bundle.pem) if bundle else ()
        newest = next(iter(stored.authorities), None)
        if newest is None or newest not in authorities:
            self._newest_seen = None
        elif self._newest_seen is None or self._newest_seen[0] != newest:
            self._newest_seen = newest, now
        since = self._newest_seen[1] if self._newest_seen else None
        return None if bundle is None else Published(authorities, since)

    def _carry_out(self, plan: CertificatePlan, values: Mapping[str, str], now: float) -> Mapping[str, str]:
        """The values with what is to be made; authorities that have expired are left out."""
        authorities, authority_key = plan.keep, values.get(CA_KEY, "")
        leaf, leaf_key = values.get(LEAF, ""), values.get(LEAF_KEY, "")
        if plan.make_authority:
            authority, authority_key = issue_authority(f"{self._service} CA", now, self._terms.authority)
            authorities = (authority, *authorities)
            log.info("authority_made", expires_at=authority.expires_at)
        if plan.make_leaf:
            leaf, leaf_key = issue_leaf(authorities[0], authority_key, self._names, now, self._terms.leaf)
            log.info("certificate_made", names=self._names)
        bundle = "".join(one.pem for one in authorities)
        return {CA: bundle, CA_KEY: authority_key, LEAF: leaf, LEAF_KEY: leaf_key}

    def _serve(self, values: Mapping[str, str]) -> None:
        if values == self._held:
            return
        self._live.serve(values[LEAF], values[LEAF_KEY])
        self._held = values
        stored = stored_certificates(values)
        assert stored.leaf is not None
        for certificate, expires_at in (
            ("served", stored.leaf.expires_at),
            ("authority", stored.authorities[0].expires_at),
        ):
            self._metrics.certificate_expiry.labels(certificate).set(expires_at)
        log.info("certificate_served", expires_at=stored.leaf.expires_at, authorities=len(stored.authorities))

    async def _publish(
        self, stored: StoredCertificates, bundle: CaBundle, published: Published, now: float
    ) -> None:
        wanted = bundle_to_publish(stored, published, now)
        if wanted is not None:
            pem = "".join(one.pem for one in wanted)
            await write_ca_bundle(self._kubernetes, CaBundle(pem, bundle.version))
            log.info("authorities_published", count=len(wanted))
