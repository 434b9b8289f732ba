"""The steps of the demo.

namespace ─┬─ chart ─────────────┬─ QueueJob ─┬─ web app (adds items, waits for results) ─┬─ training file
           └─ database and rows ─┘            └─ workers (0 -> N -> 0, as they happen) ──────┘

Everything is applied, never created, so a second run finds what the first one left and is quick.
"""

import base64
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dev.demo.diagnosis import condition, rolled_out
from dev.demo.kubectl import Kubectl
from dev.errors import DevError
from dev.images import publish
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report, Step

Work = Callable[[Report], str | None]

OPERATOR_NAMESPACE = "bullherd"
NAMESPACE = "bullherd-demo"
WATCHED = (NAMESPACE, "default")
RELEASE = "bullherd"
QUEUEJOB = "correction-aggregation"
ITEMS = 28
TRAINING_FILE = "training file"

_LOOK_AT_PODS = "see `kubectl get pods -A` with KUBECONFIG=.cluster/kubeconfig; `make demo` again goes on"


def steps(checkout: Checkout) -> list[Step]:
    """All of them; `TRAINING_FILE` is the last."""
    demo = Demo(checkout)
    images = partial(map, "load {}".format)

    def step(name: str, title: str, work: Work, *after: str) -> Step:
        return Step(name, title, demo.explained(work), after)

    return [
        step("namespaces", f"namespace {NAMESPACE}", demo.make_namespace, "cluster"),
        step("chart", "Bullherd (chart)", demo.install_chart,
             "namespaces", "go helm", *images(["bullherd", "bullherd-redis"])),
        step("database", "PostgreSQL with synthetic corrections", demo.fill_database,
             "namespaces", *images(["bullherd-postgres", "bullherd-correction-aggregation"])),
        step("queuejob", "QueueJob correction-aggregation", demo.apply_queuejob, "chart", "database"),
        step("web app", "the web app's items", demo.run_web_app, "queuejob", "npm examples/webapp"),
        step("workers", "worker pods", demo.watch_workers, "queuejob", "npm examples/webapp"),
        step(TRAINING_FILE, "training file", demo.fetch_training_file, "web app", "workers"),
    ]  # fmt: skip


class Demo:
    """What the steps do, for one checkout and its cluster."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._examples = checkout.root / "examples" / "correction-aggregation"
        self._kubectl = Kubectl(checkout, NAMESPACE)
        self._operator = Kubectl(checkout, OPERATOR_NAMESPACE)

    @property
    def training_data(self) -> Path:
        """Where the training files are copied to."""
        return self._checkout.cluster / "training-data"

    def explained(self, work: Work) -> Work:
        """The same step; its failure also tells what is wrong with pods and QueueJobs."""

        def explaining(report: Report) -> str | None:
            with self._operator.explained(), self._kubectl.explained():
                return work(report)

        return explaining

    def make_namespace(self, report: Report) -> None:
        """Make it unless it is there; one that is just being deleted goes first."""
        for name in (NAMESPACE, OPERATOR_NAMESPACE):
            report.until(
                f"the old namespace {name} is gone",
                lambda name=name: _stays(self._kubectl.find("namespace", name)),  # type: ignore[misc]
                limit=120,
                todo=f"kubectl describe namespace {name} says what it waits for",
            )
        path = self._checkout.cluster / "demo" / "namespace.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        path.write_text(json.dumps(body))
        report.run(self._kubectl.command("apply", "--server-side", "--filename", path), limit=30)

    def install_chart(self, report: Report) -> str:
        """Helm's own upgrade --install; waited for here, where it shows what does not come up, and why."""
        self._forget_interrupted_install(report)
        chart = self._checkout.root / "charts" / "bullherd"
        images = publish.read(self._checkout)
        values: list[str] = []
        for key, name in (("image", "bullherd"), ("redis.embedded.image", "bullherd-redis")):
            repository, _, tag = images[name].rpartition(":")
            values += ["--set-string", f"{key}.repository={repository},{key}.tag={tag}"]
        report.run(
            [
                self._checkout.bin / "helm", "upgrade", "--install", RELEASE, chart,
                f"--namespace={OPERATOR_NAMESPACE}", "--create-namespace",
                # CRDs that somebody applied by hand become the release's, and so does what somebody scaled.
                "--take-ownership", "--force-conflicts",
                # Not all namespaces: tests and other releases of the same cluster mind their own.
                "--set", f"watchNamespaces={{{','.join(WATCHED)}}}",
                *values,
            ],
            limit=90,
            env=self._operator.environment,
            todo=_LOOK_AT_PODS,
        )  # fmt: skip
        for workload in (
            f"deployment/{RELEASE}-operator",
            f"deployment/{RELEASE}-server",
            f"statefulset/{RELEASE}-redis",
        ):
            report.progress(note=workload)
            self._operator.until(
                report,
                f"the pods of {workload} are ready",
                lambda workload=workload: rolled_out(self._operator.get(workload)),  # type: ignore[misc]
                pods=workload.partition("/")[2],
                limit=120,
                todo=_LOOK_AT_PODS,
            )
        return "operator and standby, two servers, Redis"

    def fill_database(self, report: Report) -> str:
        """The table and its rows; rows that are there already stay."""
        for name in ("database.yaml", "training-data.yaml"):
            self._kubectl.apply(report, self._examples / name)
        self._kubectl.until(
            report,
            "PostgreSQL is ready",
            lambda: rolled_out(self._kubectl.get("statefulset/corrections-database")),
            pods="corrections-database",
            limit=120,
            todo=_LOOK_AT_PODS,
        )
        # A Job cannot be changed, and one that has ended does nothing when it is applied again.
        report.run(
            self._kubectl.command("delete", "job/corrections-seed", "--ignore-not-found", "--wait"), limit=60
        )
        self._kubectl.apply(report, self._examples / "seed-job.yaml")
        self._kubectl.until(
            report,
            "the Job corrections-seed has ended",
            lambda: self._job_has_completed("corrections-seed"),
            pods="corrections-seed",
            limit=180,
            todo=f"kubectl -n {NAMESPACE} logs job/corrections-seed --all-containers",
        )
        said = output(self._kubectl.command("logs", "job/corrections-seed", "--container=seed"))
        return said.strip().splitlines()[-1] if said.strip() else ""

    def apply_queuejob(self, report: Report) -> str:
        """Apply it, and wait until Bullherd reads its queue."""
        self._kubectl.apply(report, self._examples / "queuejob.yaml")
        report.until(
            "the QueueJob is Ready",
            lambda: condition(self._kubectl.get("queuejob", QUEUEJOB), "Ready") == "True",
            limit=45,
            todo=f"kubectl -n {NAMESPACE} describe queuejob {QUEUEJOB} says more",
        )
        return "Ready, 0 pods"

    def run_web_app(self, report: Report) -> str:
        """Add items with the official client, and wait for the result of each."""
        done = 0

        def count(line: str) -> None:
            nonlocal done
            done += '"event":"completed"' in line
            report.progress(done, ITEMS, f"{done} of {ITEMS} items worked off")

        report.progress(0, ITEMS)
        with self._operator.port_forward(f"{RELEASE}-redis", 6379) as port:
            report.run(
                ["node", "demo.js", "add", f"--jobs={ITEMS}", "--wait=150"],
                cwd=self._checkout.root / "examples" / "webapp",
                env={
                    "REDIS_HOST": "127.0.0.1",
                    "REDIS_PORT": str(port),
                    "REDIS_PASSWORD": self._secret_value("bullherd-connection-default", "password"),
                },
                limit=180,
                on_line=count,
                todo=f"kubectl -n {NAMESPACE} describe queuejob {QUEUEJOB}; kubectl -n {NAMESPACE} get pods",
            )
        return f"{ITEMS} added, {done} worked off"

    def watch_workers(self, report: Report) -> str:
        """Tell what becomes of the Deployment, until it has been up and is back at 0."""
        seen: list[tuple[int, int]] = []

        def back_at_zero() -> bool:
            body = self._kubectl.get("deployment", QUEUEJOB)
            now = (body["spec"]["replicas"], body["status"].get("readyReplicas", 0))
            if not seen or now != seen[-1]:
                seen.append(now)
                report.say(f"{now[0]} wanted, {now[1]} ready")
            report.progress(note=f"{now[0]} wanted, {now[1]} ready")
            return max(seen)[0] > 0 and now == (0, 0)

        self._kubectl.until(
            report,
            "the workers went from 0 to N and back to 0",
            back_at_zero,
            pods=QUEUEJOB,
            limit=240,
            todo=_LOOK_AT_PODS,
        )
        return f"0 → {max(seen)[0]} → 0"

    def fetch_training_file(self, report: Report) -> str:
        """Copy what the workers wrote out of their volume."""
        self._kubectl.apply(report, self._examples / "training-data-reader.yaml")
        self._kubectl.until(
            report,
            "the pod training-data-reader is ready",
            lambda: condition(self._kubectl.get("pod/training-data-reader"), "Ready") == "True",
            pods="training-data-reader",
            limit=60,
            todo=_LOOK_AT_PODS,
        )
        shutil.rmtree(self.training_data, ignore_errors=True)
        report.run(
            self._kubectl.command("cp", "training-data-reader:/training-data", self.training_data), limit=60
        )
        report.run(self._kubectl.command("delete", "pod/training-data-reader", "--wait=false"), limit=30)
        return f"{len(self.manifests())} ranges in {self.training_data.relative_to(self._checkout.root)}"

    def manifests(self) -> list[Path]:
        """The manifests that were fetched, oldest range first."""
        return sorted(self.training_data.glob("*/manifest.json"))

    def _forget_interrupted_install(self, report: Report) -> None:
        """Helm refuses to touch a release while it believes that somebody else is at it; nobody is."""
        pending = f"owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback)"
        report.run(self._operator.command("delete", "secret", f"--selector={pending}"), limit=30)

    def _job_has_completed(self, name: str) -> bool:
        body = self._kubectl.get("job", name)
        if condition(body, "Failed") == "True":
            raise DevError(f"the Job {name} failed", todo=f"kubectl -n {NAMESPACE} logs job/{name}")
        return condition(body, "Complete") == "True"

    def _secret_value(self, name: str, key: str) -> str:
        return base64.b64decode(self._kubectl.get("secret", name)["data"][key]).decode()


def _stays(namespace: Mapping[str, Any] | None) -> bool:
    return namespace is None or "deletionTimestamp" not in namespace["metadata"]
