"""What the tests of the server have in common: authorities that certify callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.authorities import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom the test's API servers trust with their front proxy."""
    return Authority(tmp_path, "front-proxy-ca")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Whom nobody trusts."""
    return Authority(tmp_path, "stranger-ca")
