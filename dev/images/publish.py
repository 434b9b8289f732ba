"""From the table of images to references that a cluster can start, kept in `.cluster/images.json`."""

import json
from functools import partial
from threading import Lock

from dev.clusters.cluster import Cluster
from dev.images.table import Image
from dev.paths import Checkout
from dev.steps import Report, Step


class Publication:
    """One run over some images: a step to build each, and one to give it to the cluster.

    References of images that others are built on are passed along; the file is written as each image arrives,
    so that a failure of one does not hide the others.
    """

    def __init__(self, checkout: Checkout, cluster: Cluster, images: list[Image]) -> None:
        self._checkout = checkout
        self._cluster = cluster
        self._images = images
        self._references: dict[str, str] = {}
        self._writing = Lock()

    def steps(self, *, build_after: tuple[str, ...], load_after: tuple[str, ...]) -> list[Step]:
        made = []
        for image in self._images:
            below = tuple(f"build {name}" for name in image.on.values())
            made += [
                Step(
                    f"build {image.name}",
                    f"image {image.name}",
                    partial(self._build, image),
                    after=(*build_after, *below),
                    lane="image build",
                ),
                Step(
                    f"load {image.name}",
                    f"{image.name} into the cluster",
                    partial(self._load, image),
                    after=(*load_after, f"build {image.name}"),
                    lane="image load",
                ),
            ]
        return made

    def _build(self, image: Image, report: Report) -> str:
        self._references[image.name] = self._cluster.reference(image, self._references)
        return self._cluster.build(image, self._references, report)

    def _load(self, image: Image, report: Report) -> str:
        said = self._cluster.load(image, self._references[image.name], report)
        with self._writing:
            known = read(self._checkout) | {image.name: self._references[image.name]}
            unfinished = self._checkout.images.with_suffix(".partial")
            unfinished.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
            unfinished.rename(self._checkout.images)
        return said


def read(checkout: Checkout) -> dict[str, str]:
    """Image name -> reference, as far as they are in the cluster."""
    try:
        return {
            str(name): str(reference) for name, reference in json.loads(checkout.images.read_text()).items()
        }
    except FileNotFoundError:
        return {}
