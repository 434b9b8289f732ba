"""Kubernetes in Docker: a kind cluster named after the checkout, images built by Docker."""

from dev.clusters.cluster import content_tag, images_below, use_installed, why_no_answer, write_private
from dev.images.table import Image
from dev.paths import Checkout
from dev.process import output
from dev.steps import Report

LIMIT = 600


class Kind:
    kind = "kind"

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._name = f"bullherd-{checkout.short_id}"

    def up(self, report: Report) -> str:
        for program, how in (
            ("kind", "go install sigs.k8s.io/kind@v0.30.0"),
            ("kubectl", "see the Kubernetes documentation, Install Tools"),
        ):
            todo = f"get it ({how}), or set BULLHERD_CLUSTER=local for the local node"
            use_installed(program, self._checkout, todo=todo)
        if self._name in output(["kind", "get", "clusters"]).split():
            write_private(
                self._checkout.kubeconfig, output(["kind", "get", "kubeconfig", "--name", self._name])
            )
            if not self.problem():
                return "was running already"
            report.say("the kind cluster does not answer; making it anew")
            self.down()
        try:
            report.run(
                [
                    *("kind", "create", "cluster", "--name", self._name, "--config", "kind-config.yaml"),
                    *("--wait", "180s", "--kubeconfig", self._checkout.kubeconfig),
                ],
                cwd=self._checkout.root,
                limit=LIMIT,
                on_line=lambda line: report.progress(note=line.strip()[:60]),
                todo="see that Docker works (`docker run hello-world`) and has 4 GB of memory",
            )
        except BaseException:
            self.down()
            raise
        return f"kind cluster {self._name}"

    def down(self) -> str:
        output(["kind", "delete", "cluster", "--name", self._name], limit=120)
        return f"the kind cluster {self._name}"

    def problem(self) -> str:
        return why_no_answer(self._checkout)

    def reference(self, image: Image, references: dict[str, str]) -> str:
        tag = content_tag(self._checkout, image, images_below(image, references))
        return f"localhost/{image.name}:{tag}"

    def build(self, image: Image, references: dict[str, str], report: Report) -> str:
        reference = references[image.name]
        if output(["docker", "images", "--quiet", reference]).strip():
            return "unchanged"
        given = [f"--build-arg={name}={value}" for name, value in images_below(image, references).items()]
        report.run(
            ["docker", "build", *given, "--tag", reference, "--file", image.dockerfile, "."],
            cwd=self._checkout.root,
            limit=LIMIT * 2,
            on_line=lambda line: report.progress(note=line.strip()[:60]),
        )
        return reference

    def load(self, image: Image, reference: str, report: Report) -> str:
        there = output(["docker", "exec", f"{self._name}-control-plane", "crictl", "images", "--output=json"])
        if f'"{reference}"' in there:
            return "is there"
        report.run(["kind", "load", "docker-image", reference, "--name", self._name], limit=LIMIT)
        return reference
