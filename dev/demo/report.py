"""What the demo says at its end: what was made, and what to try next."""

import json

from rich.console import Console
from rich.table import Table

from dev.demo.steps import NAMESPACE, QUEUEJOB, WATCHED, Demo
from dev.paths import Checkout


def print_report(checkout: Checkout) -> None:
    """A table of the training data, one example, and commands."""
    manifests = Demo(checkout).manifests()
    console = Console(highlight=False, soft_wrap=True)
    table = Table(title="Training data, made by the workers from synthetic corrections")
    for column in (
        "day (UTC)",
        "rows",
        "used",
        "duplicates",
        "unusable",
        "preference pairs",
        "supervised pairs",
    ):
        table.add_column(column, justify="left" if column.startswith("day") else "right")
    for path in manifests[-5:]:
        manifest = json.loads(path.read_text())
        rows, files = manifest["rows"], manifest["files"]
        counts = [rows[name] for name in ("read", "used", "duplicates", "unusable")]
        counts += [files[name]["records"] for name in ("preference", "supervised")]
        table.add_row(manifest["range"]["start"][:10], *map(str, counts))
    console.print(table)
    shown = min(5, len(manifests))
    newest = manifests[-1]
    file = newest.parent / json.loads(newest.read_text())["files"]["preference"]["name"]
    console.print(
        f"the last {shown} of {len(manifests)} days; one of the files: {file.relative_to(checkout.root)}\n"
    )
    console.print("[bold]Everything is still up. Try next:[/]")
    console.print(f"  export KUBECONFIG={checkout.kubeconfig} PATH={checkout.bin}:$PATH")
    for command in (
        f"kubectl -n {NAMESPACE} get queuejobs",
        f"kubectl -n {NAMESPACE} describe queuejob {QUEUEJOB}",
        "kubectl explain queuejob.spec.scaling",
        "kubectl -n bullherd logs deployment/bullherd-operator --all-pods",
        f"kubectl -n {NAMESPACE} get pods --watch   # in a second terminal, while `make demo` runs again",
        "make down                                  # remove it all",
    ):
        console.print(f"  {command}")
    console.print(
        f"Bullherd minds the namespaces {' and '.join(WATCHED)}: a QueueJob of your own can be in either."
    )
