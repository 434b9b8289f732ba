"""The example web app, run with bullmq 5 and 6 as tests/node has them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.node import NODE_FOLDER, BullmqNode
from tests.fixtures.redis import RedisServer

WEBAPP = Path(__file__).parents[2] / "examples" / "webapp"
LIMIT_S = 60.0


@dataclass(frozen=True)
class Finished:
    """A Node process that has ended."""

    code: int
    lines: list[Any]
    errors: str


@dataclass(frozen=True)
class WebApp:
    """A copy of the example's files beside the node_modules of one bullmq major."""

    folder: Path
    environment: dict[str, str]

    async def demo(self, *arguments: str, **environment: str) -> Finished:
        return await self._node(["demo.js", *arguments], environment)

    async def call(self, code: str, **environment: str) -> Any:
        """The value of a JavaScript expression with the web app's functions in `app`."""
        script = f"""
            import * as app from "./correction-aggregation.js";
            const value = await {code};
            console.log(JSON.stringify(value === undefined ? null : value));
            await app.closeCorrectionAggregation();
        """
        done = await self._node(["--input-type=module", "--eval", script], environment)
        assert done.code == 0, done.errors
        return done.lines[-1]

    async def _node(self, arguments: list[str], environment: dict[str, str]) -> Finished:
        process = await asyncio.create_subprocess_exec(
            "node",
            *arguments,
            cwd=self.folder,
            env=os.environ | self.environment | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
        lines = [json.loads(line) for line in output.splitlines()]
        return Finished(process.returncode or 0, lines, errors.decode())


@pytest.fixture
def webapp(tmp_path: Path, redis_server: RedisServer, bullmq_node: BullmqNode) -> WebApp:
    """Runs twice like `bullmq_node`, which also looks into the queue."""
    folder = tmp_path / "webapp"
    folder.mkdir()
    for file in WEBAPP.glob("*.js*"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(NODE_FOLDER / bullmq_node.major / "node_modules")
    return WebApp(folder, redis_server.environment)
