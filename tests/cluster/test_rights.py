"""An operator that may not see one of the namespaces it is to watch works the others.

Needs the cluster, redis-server, and Node with bullmq.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kubectl import Kubectl
from tests.cluster.queuejobs import queuejob, ready, replicas
from tests.fixtures.kubernetes import Body, Namespace, open_namespace
from tests.fixtures.node import BullmqNode
from tests.fixtures.operator import StartOperator
from tests.fixtures.process import Connections
from tests.fixtures.redis import RedisServer

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.node]

RULES = [
    {"apiGroups": ["bullherd.dev"], "resources": ["queuejobs"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": ["bullherd.dev"], "resources": ["queuejobs/status"], "verbs": ["get", "patch", "update"]},
    {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["get", "list", "watch", "create", "patch"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    },
]


def allow(kubectl: Kubectl, namespace: str) -> None:
    """A ServiceAccount of that namespace, with the operator's rights in it and nowhere else."""
    role = {"name": "operator", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    objects: list[Body] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": role},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": role, "rules": RULES},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", **role}],
        },
    ]
    kubectl("create", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))


def log_in(kubectl: Kubectl, namespace: str, folder: Path) -> Path:
    """A kubeconfig of that ServiceAccount."""
    config: dict[str, Any] = yaml.safe_load(kubectl.kubeconfig.read_text())
    token = kubectl("create", "token", "operator", "-n", namespace).strip()
    user = config["contexts"][0]["context"]["user"]
    config["users"] = [{"name": user, "user": {"token": token}}]
    path = folder / "restricted.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


async def test_a_namespace_without_rights_holds_up_no_other(
    namespace: Namespace,
    cluster: Any,
    start_operator: StartOperator,
    connections: Connections,
    redis_server: RedisServer,
    bullmq_node_6: BullmqNode,
    tmp_path: Path,
) -> None:
    kubectl = Kubectl(cluster.kubeconfig)
    connections.write("default", redis_server.endpoint)
    allow(kubectl, namespace.name)
    kubeconfig = log_in(kubectl, namespace.name, tmp_path)
    await namespace.create(queuejob("early"))
    async with open_namespace(cluster.kubeconfig, "bullherd-test") as closed:
        operator = await start_operator(
            kubeconfig=kubeconfig, WATCH_NAMESPACES=f"{closed.name},{namespace.name}"
        )
        told = await operator.event("queuejobs_not_listed", namespace=closed.name)
        assert "may its ServiceAccount list queuejobs" in told["hint"]
        await ready(namespace, "early")

        await namespace.create(queuejob("late"))
        await ready(namespace, "late")
        await bullmq_node_6.queue("late").add_bulk(range(2))
        await replicas(namespace, "late", 2)
        await ready(namespace, "late")
        assert (await operator.http("/healthz"))[0] == 200
