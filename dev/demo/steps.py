"""The steps of the demo.

chart ─────────────┬─ QueueJob ─┬─ web app (adds items, waits for their results) ─┬─ training file
database and rows ─┘            └─ workers (0 -> N -> 0, as they happen) ────────────┘

Everything is applied, never created, so a second run finds what the first one left and is quick.
"""

import base64
import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dev.demo.kubectl import Kubectl
from dev.errors import DevError
from dev.images import publish
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report, Step

OPERATOR_NAMESPACE = "bullherd"
NAMESPACE = "bullherd-demo"
QUEUEJOB = "correction-aggregation"
ITEMS = 28
TRAINING_FILE = "training file"

_LOOK_AT_PODS = "see `kubectl get pods -A` with KUBECONFIG=.cluster/kubeconfig; `make demo` again goes on"


def steps(checkout: Checkout) -> list[Step]:
    """All of them; `TRAINING_FILE` is the last."""
    demo = Demo(checkout)
    images = partial(map, "load {}".format)
    return [
        Step("chart", "Bullherd (chart)", demo.install_chart,
             after=("cluster", "go helm", *images(["bullherd", "bullherd-redis"]))),
        Step("database", "PostgreSQL with synthetic corrections", demo.fill_database,
             after=("cluster", *images(["bullherd-postgres", "bullherd-correction-aggregation"]))),
        Step("queuejob", "QueueJob correction-aggregation", demo.apply_queuejob, after=("chart", "database")),
        Step("web app", "the web app's items", demo.run_web_app, after=("queuejob", "npm examples/webapp")),
        Step("workers", "worker pods", demo.watch_workers, after=("queuejob", "npm examples/webapp")),
        Step(TRAINING_FILE, "training file", demo.fetch_training_file, after=("web app", "workers")),
    ]  # fmt: skip


class Demo:
    """What the steps do, for one checkout and its cluster."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._examples = checkout.root / "examples" / "correction-aggregation"
        self._kubectl = Kubectl(checkout, NAMESPACE)

    @property
    def training_data(self) -> Path:
        """Where the training files are copied to."""
        return self._checkout.cluster / "training-data"

    def install_chart(self, report: Report) -> str:
        """Helm's own upgrade --install, waited for."""
        self._make_namespace(report)
        chart = self._checkout.root / "charts" / "bullherd"
        images = publish.read(self._checkout)
        values: list[str] = []
        for key, name in (("image", "bullherd"), ("redis.embedded.image", "bullherd-redis")):
            repository, _, tag = images[name].rpartition(":")
            values += ["--set-string", f"{key}.repository={repository},{key}.tag={tag}"]
        report.run(
            [
                self._checkout.bin / "helm", "upgrade", "--install", "bullherd", chart,
                f"--namespace={OPERATOR_NAMESPACE}", "--create-namespace",
                # CRDs that were applied by hand or by tests become the release's.
                "--take-ownership",
                "--set", f"redis.embedded.namespaces={{{OPERATOR_NAMESPACE},{NAMESPACE}}}",
                *values, "--wait", "--timeout=150s",
            ],
            limit=180,
            env=self._kubectl.environment,
            todo=_LOOK_AT_PODS,
        )  # fmt: skip
        return "operator and standby, Redis"

    def fill_database(self, report: Report) -> str:
        """The table and its rows; rows that are there already stay."""
        self._make_namespace(report)
        for name in ("database.yaml", "training-data.yaml"):
            self._kubectl.apply(report, self._examples / name)
        report.run(
            self._kubectl.command("rollout", "status", "statefulset/corrections-database", "--timeout=120s"),
            limit=130,
            todo=_LOOK_AT_PODS,
        )
        # A Job cannot be changed, and one that has ended does nothing when it is applied again.
        report.run(
            self._kubectl.command("delete", "job/corrections-seed", "--ignore-not-found", "--wait"), limit=60
        )
        self._kubectl.apply(report, self._examples / "seed-job.yaml")
        report.until(
            "the Job corrections-seed has ended",
            lambda: self._job_has_completed("corrections-seed"),
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
            lambda: _condition(self._kubectl.get("queuejob", QUEUEJOB), "Ready") == "True",
            limit=30,
            todo=f"kubectl -n {NAMESPACE} describe queuejob {QUEUEJOB} says why",
        )
        return "Ready, 0 pods"

    def run_web_app(self, report: Report) -> str:
        """Add items with the official client, and wait for the result of each."""
        done = 0

        def count(line: str) -> None:
            nonlocal done
            done += '"event":"completed"' in line
            report.progress(done, ITEMS, f"{done} of {ITEMS} items worked off")

        with Kubectl(self._checkout, OPERATOR_NAMESPACE).port_forward("bullherd-redis", 6379) as port:
            report.progress(0, ITEMS)
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

        report.until(
            "the workers went from 0 to N and back to 0", back_at_zero, limit=240, todo=_LOOK_AT_PODS
        )
        return f"0 → {max(seen)[0]} → 0"

    def fetch_training_file(self, report: Report) -> str:
        """Copy what the workers wrote out of their volume."""
        self._kubectl.apply(report, self._examples / "training-data-reader.yaml")
        report.run(
            self._kubectl.command(
                "wait", "--for=condition=Ready", "pod/training-data-reader", "--timeout=60s"
            ),
            limit=70,
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

    def _make_namespace(self, report: Report) -> None:
        """Two steps may want it at the same time, so it is applied."""
        path = self._checkout.cluster / "demo" / "namespace.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        path.write_text(json.dumps(body))
        report.run(self._kubectl.command("apply", "--server-side", "--filename", path), limit=30)

    def _job_has_completed(self, name: str) -> bool:
        body = self._kubectl.get("job", name)
        if _condition(body, "Failed") == "True":
            raise DevError(f"the Job {name} failed", todo=f"kubectl -n {NAMESPACE} logs job/{name}")
        return _condition(body, "Complete") == "True"

    def _secret_value(self, name: str, key: str) -> str:
        return base64.b64decode(self._kubectl.get("secret", name)["data"][key]).decode()


def _condition(body: Mapping[str, Any], type_: str) -> str:
    conditions = body.get("status", {}).get("conditions", [])
    return next((str(c["status"]) for c in conditions if c["type"] == type_), "Unknown")
