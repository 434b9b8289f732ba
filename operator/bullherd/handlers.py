"""What Kopf calls: each handler notes what was seen and returns; the registry wakes the reconcile.

Only raw event handlers: they write nothing into the resources (no finalizers, no annotations), so a resource
can always be deleted, with or without an operator. Events of the first list have no type.
"""

from __future__ import annotations

from typing import Any

import kopf

from bullherd.api import GROUP, PLURAL, VERSION
from bullherd.controllers.registry import Children, Registry, key_of
from bullherd.core.manifests import MANAGED_BY, MANAGED_BY_LABEL


def register_queuejobs(kopf_registry: kopf.OperatorRegistry, registry: Registry) -> None:
    """Make Kopf feed this registry with QueueJobs."""

    # A registry of one's own comes without Kopf's logins; this one uses the same client library as we do.
    kopf.on.login(registry=kopf_registry)(kopf.login_via_async_client)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=kopf_registry, id="queuejob")
    async def queuejob_seen(event: Any, **_: Any) -> None:
        if event["type"] == "DELETED":
            registry.remove_job(key_of(event["object"]))
        else:
            registry.put_job(event["object"])


def register_handlers(kopf_registry: kopf.OperatorRegistry, registry: Registry) -> None:
    """Make Kopf feed this registry with QueueJobs and all that is made for them."""
    register_queuejobs(kopf_registry, registry)

    def feed(children: Children[Any], group: str, version: str, plural: str) -> None:
        @kopf.on.event(group, version, plural, registry=kopf_registry, id=plural)
        async def child_seen(event: Any, **_: Any) -> None:
            if event["type"] == "DELETED":
                children.remove(key_of(event["object"]))
            else:
                children.put(event["object"])

    feed(registry.deployments, "apps", "v1", "deployments")
    feed(registry.autoscalers, "autoscaling", "v2", "horizontalpodautoscalers")


class _NothingCompared(kopf.DiffBaseStorage):
    """Kopf copies every object whole at each event, to compare it with the one before. Raw handlers never ask
    for that.
    """

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


_IDLE_TIMEOUT = 0.2
"""Seconds for which Kopf keeps the last event of each object, whole, while it waits for the next one. Its own
default of 5 costs 40 MiB when a thousand QueueJobs are made.
"""


def kopf_settings(watch_all: bool) -> kopf.OperatorSettings:
    """Kopf's settings: server-side filters, short timeouts, and no marks of its own on any resource."""
    settings = kopf.OperatorSettings()
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    settings.watching.label_selectors["apps", "deployments"] = ours
    settings.watching.label_selectors["autoscaling", "horizontalpodautoscalers"] = ours
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 30
    settings.networking.request_timeout = 60
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = _IDLE_TIMEOUT
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NothingCompared()
    # Discovery of CRDs and namespaces needs cluster-wide rights, which an operator of some namespaces does
    # not get.
    settings.scanning.disabled = not watch_all
    return settings
