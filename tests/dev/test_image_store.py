"""buildah's store is emptied when it is full and nobody uses it. Needs nothing: buildah is not asked."""

import json
from pathlib import Path

import pytest

from dev.images import store


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What buildah was asked to do; it has as many images as FULL allows, and one more."""
    made: list[str] = []
    there = json.dumps([{}] * (store.FULL + 1))

    def buildah(command: list[str], *, limit: float) -> str:
        made.append(command[len(store.command())])
        return there

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(store, "output", buildah)
    (tmp_path / "bullherd/images/store").mkdir(parents=True)
    return made


def test_who_comes_alone_empties_a_full_store(calls: list[str]) -> None:
    with store.in_use():
        assert calls == ["images", "rmi"]


def test_who_comes_second_leaves_it(calls: list[str]) -> None:
    with store.in_use():
        calls.clear()
        with store.in_use():
            assert calls == []


def test_a_store_that_is_not_full_is_left(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FULL", store.FULL + 1)
    with store.in_use():
        assert calls == ["images"]
