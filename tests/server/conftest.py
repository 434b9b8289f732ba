"""What the tests of the server have in common: authorities that certify callers, and a way to the API server
that can be cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.proxy import ApiProxy
from tests.server.authorities import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom the test's API servers trust with their front proxy."""
    return Authority(tmp_path, "front-proxy-ca")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Whom nobody trusts."""
    return Authority(tmp_path, "stranger-ca")


@pytest_asyncio.fixture
async def api_proxy(cluster: Any, tmp_path: Path) -> AsyncIterator[ApiProxy]:
    """The way to the API server; the test may cut it."""
    proxy = ApiProxy(cluster.kubeconfig, tmp_path)
    await proxy.start()
    yield proxy
    await proxy.close()
