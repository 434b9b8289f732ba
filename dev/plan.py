"""The whole graph of steps for one checkout and kind of cluster; a command names those that it is about.

packages ─┬─ base ── build IMAGE ─┐
          ├─ cluster ─────────────┴─ load IMAGE
go kube, go coredns ┘      go helm      python      npm FOLDER
"""

from dev import debian, packages, programs
from dev.clusters.choice import record, recorded
from dev.clusters.cluster import Cluster
from dev.errors import DevError
from dev.images.buildah import Buildah
from dev.images.publish import Publication
from dev.images.table import in_order
from dev.paths import Checkout
from dev.steps import Report, Step

HELM = "go helm"
CLUSTER = "cluster"
PYTHON = "python"
TEST_PACKAGES = "test packages"


def steps(checkout: Checkout, cluster: Cluster, images: tuple[str, ...] = ()) -> list[Step]:
    """Long ones first: a step that can start is started in this order."""
    chosen = in_order(images)
    local = cluster.kind == "local"
    return [
        *(_program_step(checkout, name) for name in programs.PROGRAMS),
        *([_packages_step(), _base_step()] if local else []),
        Step(
            CLUSTER,
            {"local": "local node", "kind": "kind cluster", "current": "your cluster"}[cluster.kind],
            lambda report: _cluster(checkout, cluster, report),
            after=("packages", "go kube", "go coredns") if local else (),
        ),
        *Publication(checkout, cluster, chosen).steps(
            build_after=("base",) if local else (), load_after=(CLUSTER,)
        ),
        Step(PYTHON, "Python packages", lambda report: packages.install_python(checkout, report)),
        *(_npm_step(checkout, folder) for folder in packages.NPM_PROJECTS),
        Step(
            TEST_PACKAGES,
            "Debian packages for the tests",
            debian.install_for_tests,
            lane="apt",
        ),
    ]


def images_loaded(images: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(f"load {image.name}" for image in in_order(images))


def npm(folder: str) -> str:
    return f"npm {folder}"


def _program_step(checkout: Checkout, name: str) -> Step:
    program = programs.PROGRAMS[name]

    def work(report: Report) -> str:
        said = programs.build(program, report)
        programs.link(checkout, [name])
        return said

    return Step(f"go {name}", f"{program.title} from its Go modules", work, lane="go")


def _packages_step() -> Step:
    return Step(
        "packages",
        "Debian packages",
        lambda report: debian.install(
            (*debian.NODE, *debian.IMAGES), report, elsewhere="install Docker and kind instead"
        ),
        lane="apt",
    )


def _base_step() -> Step:
    return Step(
        "base",
        "base image (debootstrap)",
        lambda report: "made" if Buildah(report).make_base() else "from the cache",
        after=("packages",),
        lane="image build",
    )


def _npm_step(checkout: Checkout, folder: str) -> Step:
    return Step(
        npm(folder),
        f"npm packages of {folder}",
        lambda report: packages.install_npm(checkout.root / folder, report),
    )


def _cluster(checkout: Checkout, cluster: Cluster, report: Report) -> str:
    was_there = recorded(checkout) is not None
    record(checkout, cluster.kind)
    try:
        said = cluster.up(report)
    except BaseException:
        if not was_there:  # what failed to start has cleaned up after itself, and decides nothing any more
            checkout.record.unlink()
        raise
    if problem := cluster.problem():
        raise DevError(
            "the cluster came up but does not work", why=problem, todo="make down, then make cluster"
        )
    return said
