"""The commands: `python -m dev cluster up|down|status`, `images`, `enter`, `install`, `demo`."""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from dev import plan
from dev.clusters.choice import kind_to_use, open_cluster, recorded
from dev.demo.report import print_report
from dev.demo.steps import TRAINING_FILE
from dev.demo.steps import steps as demo_steps
from dev.errors import DevError
from dev.images import store
from dev.images.table import TABLE
from dev.lock import held
from dev.node import lifecycle
from dev.node.layout import Layout
from dev.packages import NPM_PROJECTS
from dev.paths import Checkout, this_checkout
from dev.screen import duration, open_screen
from dev.steps import Step, carry_out, needed_for

INTERRUPTED = 130


def main() -> int:
    arguments = _parser().parse_args()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        return int(arguments.command(this_checkout(), arguments) or 0)
    except DevError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what was half made is gone again", file=sys.stderr, flush=True)
        return INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as with Ctrl-C, so that programs which were started end too and nothing is left half made."""
    raise KeyboardInterrupt


def reach(
    checkout: Checkout, goals: Sequence[str], images: tuple[str, ...] = (), more: Sequence[Step] = ()
) -> None:
    """Carry out the steps that lead to the goals; `more` are steps beyond those of every command."""
    cluster = open_cluster(checkout, kind_to_use(checkout, print))
    with held(checkout, print), store.in_use(), open_screen() as screen:
        steps = [*plan.steps(checkout, cluster, images), *more]
        carry_out(needed_for(goals, steps), screen, checkout.logs)


def _cluster_up(checkout: Checkout, _: argparse.Namespace) -> None:
    begin = time.monotonic()
    reach(checkout, [plan.CLUSTER])
    print(f"the cluster is up ({duration(time.monotonic() - begin)})\n{_how_to_use(checkout)}")


def _how_to_use(checkout: Checkout) -> str:
    path = "" if shutil.which("kubectl") else f" PATH={checkout.bin}:$PATH"
    return f"  export KUBECONFIG={checkout.kubeconfig}{path}"


def _cluster_down(checkout: Checkout, _: argparse.Namespace) -> None:
    begin = time.monotonic()
    with held(checkout, print):
        kind = recorded(checkout)
        removed = open_cluster(checkout, kind).down() if kind else "nothing: there was no cluster"
        if checkout.cluster.exists():
            shutil.rmtree(checkout.cluster)
    print(f"removed {removed} ({duration(time.monotonic() - begin)})")


def _cluster_status(checkout: Checkout, _: argparse.Namespace) -> int:
    kind = recorded(checkout)
    if kind is None:
        print("no cluster; `make cluster` makes one")
        return 1
    problem = open_cluster(checkout, kind).problem()
    print(f"{kind} cluster: {problem or 'works'}\n{_how_to_use(checkout)}")
    return 1 if problem else 0


def _enter(checkout: Checkout, arguments: argparse.Namespace) -> None:
    """Become the command, among the node's mounts, processes and network."""
    if recorded(checkout) != "local":
        raise DevError("there is no local node to enter", todo="make cluster")
    command = lifecycle.enter(Layout(checkout), arguments.words or ["bash"])
    os.execvp(command[0], command)


def _images(checkout: Checkout, arguments: argparse.Namespace) -> None:
    names = tuple(arguments.name)
    reach(checkout, plan.images_loaded(names), names)
    print(f"in the cluster, named in {os.path.relpath(checkout.images)}")


def _demo(checkout: Checkout, _: argparse.Namespace) -> None:
    begin = time.monotonic()
    reach(checkout, [TRAINING_FILE], more=demo_steps(checkout))
    print_report(checkout)
    print(f"\nthe demo took {duration(time.monotonic() - begin)}")


def _install(checkout: Checkout, arguments: argparse.Namespace) -> None:
    goals = {
        "python": [plan.PYTHON],
        "npm": [plan.npm(folder) for folder in NPM_PROJECTS],
        "tests": [plan.PYTHON, plan.TEST_PACKAGES, *(plan.npm(folder) for folder in NPM_PROJECTS)],
        "helm": [plan.HELM],
        "all": [plan.PYTHON, plan.TEST_PACKAGES, plan.HELM, *(plan.npm(folder) for folder in NPM_PROJECTS),
                plan.CLUSTER, *plan.images_loaded()],
    }  # fmt: skip
    reach(checkout, goals[arguments.what])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The developer's tool of Bullherd.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    cluster = commands.add_parser("cluster", help="bring a Kubernetes cluster up, or take it away")
    actions = cluster.add_subparsers(required=True, metavar="ACTION")
    for name, command, text in (
        ("up", _cluster_up, "have a working cluster, its kubeconfig in .cluster/kubeconfig"),
        ("down", _cluster_down, "remove all that was made"),
        ("status", _cluster_status, "say whether it works"),
    ):
        actions.add_parser(name, help=text).set_defaults(command=command)

    enter = commands.add_parser(
        "enter", help="run a command inside the local node (a shell, if none is given)"
    )
    enter.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    enter.set_defaults(command=_enter)

    images = commands.add_parser("images", help="build images and load them into the cluster")
    images.add_argument(
        "name", nargs="*", help=f"which (all, if none is named): {', '.join(i.name for i in TABLE)}"
    )
    images.set_defaults(command=_images)

    demo = commands.add_parser("demo", help="the main job on real input; leaves everything up")
    demo.set_defaults(command=_demo)

    install = commands.add_parser("install", help="install what development and tests need")
    install.add_argument("what", choices=("python", "npm", "tests", "helm", "all"))
    install.set_defaults(command=_install)
    return parser
