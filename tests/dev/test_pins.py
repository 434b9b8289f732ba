"""constraints.txt holds every package that an install can fetch, on every Python we support. Needs nothing.

What is walked is what is installed here: from what our three projects ask for, and what builds them, to what
those ask for. Conditions are looked at for other Pythons too: a package that only Debian 12's 3.11.2 needs is
not installed on 3.11.7, and would be fetched there in any version.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from tomllib import loads
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.packages import PYTHON_PROJECTS
from dev.paths import this_checkout

ROOT = this_checkout().root
OURS = {"bullherd", "bullherd-worker", "correction-aggregation"}


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in requirements}


def projects() -> Iterator[dict[str, Any]]:
    for project in PYTHON_PROJECTS:
        yield loads((ROOT / project.partition("[")[0] / "pyproject.toml").read_text())


def asked_for() -> Iterator[Requirement]:
    """By our projects themselves, with all their extras, and by their builds."""
    for project in projects():
        texts = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
        for extra in project["project"].get("optional-dependencies", {}).values():
            texts += extra
        yield from map(Requirement, texts)


def applies(requirement: Requirement, extras: set[str], python: str) -> bool:
    place = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**place, "extra": extra}) for extra in extras | {""})


def fetched(python: str) -> set[str]:
    """The names of all packages that an install on this Python brings."""
    seen: set[tuple[str, frozenset[str]]] = set()
    ahead = [one for one in asked_for() if applies(one, set(), python)]
    while ahead:
        requirement = ahead.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # only other Pythons have it
            continue
        ahead += [one for one in map(Requirement, needs) if applies(one, set(extras), python)]
    return {name for name, _ in seen} - OURS


@pytest.mark.parametrize("python", ["3.11.2", "3.11.9", "3.12.3", "3.13.1"])
def test_everything_that_an_install_fetches_is_pinned(python: str) -> None:
    held = {name for name, pin in pins().items() if applies(pin, set(), python)}
    assert fetched(python) - held == set()


def test_a_pin_is_exact_and_what_is_installed_here_is_that() -> None:
    for name, pin in pins().items():
        (version,) = pin.specifier
        assert version.operator == "==", name
        try:
            assert distribution(name).version == version.version, name
        except PackageNotFoundError:
            assert pin.marker, f"{name} is pinned and nothing installs it"
