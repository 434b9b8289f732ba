"""One installed release of the chart in a namespace of its own, and what a test asks the cluster about it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, ROOT, HelmError, helm_program
from tests.fixtures.external_metrics import API_SERVICE

NAME = "bullherd"
OPERATOR = "system:serviceaccount:{namespace}:bullherd-operator"
SERVER = "system:serviceaccount:{namespace}:bullherd-server"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
CLUSTER_KINDS = "clusterroles,clusterrolebindings,priorityclasses"

Values = dict[str, Any]

AUTO: Values = {"server": {"externalMetrics": {"apiService": "auto"}}}
"""The chart's own default, for releases that may have the APIService."""


@dataclass(frozen=True)
class Cluster:
    """kubectl and helm against one cluster."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        done = self._run("kubectl", *arguments, stdin=stdin)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        done = self._run(helm_program(), *arguments, stdin=stdin)
        if done.returncode:
            raise HelmError(done.stderr)
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def api_service(self) -> Any:
        """The cluster's one APIService for external metrics; None when there is none."""
        show = ("--ignore-not-found", "--show-managed-fields", "-o", "json")
        found = self.kubectl("get", "apiservice", API_SERVICE, *show)
        return json.loads(found) if found else None

    def may(self, who: str, verb: str, resource: str, namespace: str = "") -> bool:
        """Whether the API server would let this user or service account do it; no namespace means in all.

        ``resource`` is like ``deployments.apps``, ``deployments.apps/one`` or ``deployments.apps status``.
        """
        (answer,) = self.answers(who, [(verb, resource)], namespace).values()
        return answer

    def answers(
        self, who: str, asked: Iterable[tuple[str, str]], namespace: str = ""
    ) -> dict[tuple[str, str], bool]:
        """The same for many questions of verb and resource, in one call."""
        asked = list(asked)
        reviews = [_review(who, verb, resource, namespace) for verb, resource in asked]
        listed = {"apiVersion": "v1", "kind": "List", "items": reviews}
        show = '-o=jsonpath={.status.allowed}{"\\n"}'
        said = self.kubectl("create", "-f", "-", show, stdin=json.dumps(listed)).split()
        return {question: answer == "true" for question, answer in zip(asked, said, strict=True)}

    def _run(self, *command: str, stdin: str | None) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT / ".cluster" / "bin"), os.environ.get("PATH", "")])
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}
        return subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=170, check=False
        )


@dataclass(frozen=True)
class Release:
    """Values that keep it apart from every other release in the cluster are always set; so it has the one
    APIService for external metrics only if a test asks for that.
    """

    cluster: Cluster
    namespace: str
    chart: Path = CHART

    @property
    def operator(self) -> str:
        return OPERATOR.format(namespace=self.namespace)

    @property
    def server(self) -> str:
        return SERVER.format(namespace=self.namespace)

    def install(self, *values: Values) -> None:
        self._apply("install", values, [])

    def upgrade(self, *values: Values, flags: Sequence[str] = ()) -> None:
        self._apply("upgrade", values, flags)

    def helm_test(self, limit: str = "60s") -> str:
        """What `helm test` says; it waits for all of the limit when a test fails."""
        return self.cluster.helm("test", NAME, "-n", self.namespace, "--timeout", limit)

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", NAME, "-n", self.namespace, "--wait", "--timeout", "120s")
        self.until_no_pod_is_left()

    def until_no_pod_is_left(self) -> None:
        """helm waits for what it made, not for the pods of that."""
        self.cluster.kubectl("-n", self.namespace, "wait", "pod", "--all", "--for=delete", "--timeout=90s")

    def kubeconfig_of(self, account: str, folder: Path) -> Path:
        """What somebody logs in with as one of the release's ServiceAccounts."""
        config: dict[str, Any] = yaml.safe_load(self.cluster.kubeconfig.read_text())
        token = self.cluster.kubectl("-n", self.namespace, "create", "token", account).strip()
        config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
        path = folder / f"{account}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def secret(self, name: str, namespace: str | None = None) -> dict[str, str]:
        data = self.cluster.get("secret", name, "-n", namespace or self.namespace).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def redis(self, *command: str) -> str:
        """redis-cli in the Redis pod, which knows its own password."""
        return self.cluster.kubectl(
            "-n", self.namespace, "exec", "statefulset/bullherd-redis", "--", "redis-cli", *command
        ).strip()

    def until(self, what: str, jsonpath: str, value: str) -> None:
        """Wait until an object, like ``queuejob/orders``, is there and a field of it has this value."""
        for condition in ("create", f"jsonpath={jsonpath}={value}"):
            wait = ("wait", what, f"--for={condition}", "--timeout=60s")
            self.cluster.kubectl("-n", self.namespace, *wait)

    def left(self) -> set[str]:
        """What exists with this release's label: kind/name."""
        kinds = self.cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        mine = ["-l", f"app.kubernetes.io/instance={NAME}", "-o", "name"]
        namespaced = self.cluster.kubectl("get", ",".join(kinds), "-n", self.namespace, *mine)
        everywhere = self.cluster.kubectl("get", CLUSTER_KINDS, *mine)
        everywhere += self.cluster.kubectl("get", "rolebindings", "-n", "kube-system", *mine)
        own = {name for name in everywhere.split() if self.namespace in name}
        if self.owns(self.cluster.api_service()):
            own.add(f"apiservice/{API_SERVICE}")
        return set(namespaced.split()) | own

    def owns(self, api_service: Any) -> bool:
        """Whether it leads to this release's namespace."""
        return bool(api_service) and api_service["spec"].get("service", {}).get("namespace") == self.namespace

    def _apply(self, verb: str, values: tuple[Values, ...], flags: Sequence[str]) -> None:
        merged: Values = {
            "priorityClasses": {"prefix": f"{self.namespace}-"},
            "server": {"externalMetrics": {"apiService": False}},
        }
        for more in values:
            merged = merge(merged, more)
        command = [verb, NAME, str(self.chart), "-n", self.namespace, "--wait", "--timeout", "120s"]
        try:
            self.cluster.helm(*command, *flags, "--values", "-", stdin=yaml.safe_dump(merged))
        except HelmError as error:
            # helm only says what did not become ready; the reason is in the pods and their events.
            error.add_note(self.cluster.kubectl("-n", self.namespace, "get", "pods,events"))
            raise


def _review(who: str, verb: str, resource: str, namespace: str) -> Values:
    resource, _, subresource = resource.partition(" ")
    resource, _, name = resource.partition("/")
    plural, _, group = resource.partition(".")
    place = {"namespace": namespace, "group": group, "resource": plural}
    attributes = {**place, "verb": verb, "subresource": subresource, "name": name}
    # As the API server itself sees it when a service account asks.
    groups = ["system:authenticated"]
    if who.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{who.split(':')[2]}"]
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "groups": groups, "resourceAttributes": attributes},
    }


def merge(first: Values, second: Values) -> Values:
    """Two trees of values as one, the second winning."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@contextmanager
def own_namespace(cluster: Cluster, prefix: str) -> Iterator[Release]:
    """A restricted namespace for a release that is still to be installed; what is left of both is removed."""
    namespace = f"{prefix}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("label", "namespace", namespace, RESTRICTED)
    release = Release(cluster, namespace)
    try:
        yield release
    finally:
        # First: while an APIService leads nowhere, no namespace in the cluster can be deleted.
        if release.owns(cluster.api_service()):
            cluster.kubectl("delete", "apiservice", API_SERVICE)
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
        for where in ((CLUSTER_KINDS,), ("rolebindings", "-n", "kube-system")):
            for name in cluster.kubectl("get", *where, "-o", "name").split():
                if name.partition("/")[2].startswith(f"{namespace}-"):
                    cluster.kubectl("delete", name, *where[1:])


def image(reference: str) -> dict[str, str]:
    """An image's reference as the chart's values have it."""
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}
