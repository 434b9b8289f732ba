"""Fixtures of the controllers' tests. Needs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.controllers.cluster import Cluster


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(tmp_path, monkeypatch)
    await made.connection()
    return made
