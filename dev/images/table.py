"""Which images the project has. A new one is an entry here and a Dockerfile."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dev.errors import DevError


@dataclass(frozen=True)
class Image:
    """One Dockerfile. Paths are relative to the checkout, which is also the build context of every image.

    `base_argument` is the build argument that names the base image: a Dockerfile's default is one that a
    registry has, the local node gives it ours. `on` names build arguments that take another image of this
    table. `for_tests`: made only when it is named.
    """

    name: str
    dockerfile: str
    base_argument: str | None = None
    on: Mapping[str, str] = field(default_factory=dict)
    for_tests: bool = False


TABLE = (
    Image("bullherd", "operator/Dockerfile", "PYTHON_IMAGE"),
    Image("bullherd-worker", "job-images/python-worker/Dockerfile", "PYTHON_IMAGE"),
    Image(
        "bullherd-correction-aggregation",
        "job-images/correction-aggregation/Dockerfile",
        on={"WORKER_IMAGE": "bullherd-worker"},
    ),
    Image("bullherd-redis", "images/redis/Dockerfile", "DEBIAN_IMAGE"),
    Image("bullherd-postgres", "images/postgres/Dockerfile", "DEBIAN_IMAGE"),
    Image("bullherd-node-worker", "tests/e2e/node_worker.Dockerfile", "PYTHON_IMAGE", for_tests=True),
)


def in_order(names: Iterable[str] = ()) -> list[Image]:
    """The named images (the project's own, if none is named), each after those that it is built on."""
    by_name = {image.name: image for image in TABLE}
    ordered: dict[str, Image] = {}

    def add(name: str) -> None:
        if name not in by_name:
            raise DevError(f"there is no image {name}", todo=f"one of: {', '.join(by_name)}")
        for needed in by_name[name].on.values():
            add(needed)
        ordered.setdefault(name, by_name[name])

    for name in tuple(names) or (image.name for image in TABLE if not image.for_tests):
        add(name)
    return list(ordered.values())
