"""A local node of the tests' own, beside the one of `make cluster`, in a temporary folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import programs
from dev.clusters.choice import kind_to_use
from dev.node import lifecycle
from dev.node.layout import Layout
from dev.paths import Checkout, this_checkout


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """A node that is not up. It is taken down after the test, whatever the test left of it."""
    if kind_to_use(this_checkout()) != "local":
        pytest.skip("this checkout's cluster is no local node")
    if os.geteuid() != 0:
        pytest.skip("a local node needs root")
    layout = Layout(Checkout(tmp_path))
    programs.link(layout.checkout, ("kube", "coredns"))
    yield layout
    lifecycle.down(layout)
