"""A real Prometheus that scrapes given processes as the chart's ServiceMonitor has them scraped.

How to use it::

    prometheus = Prometheus(tmp_path, {"bullherd-operator": operator.port}, rules=FILE)
    async with prometheus:                                            # when all were scraped once
        values = await prometheus.until("sum(bullherd_queue_backlog)")    # as soon as there is an answer

Needs the Debian package prometheus.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import yaml

from tests.fixtures.redis import free_port

LIMIT_S = 30.0
LOOK_S = 0.2
POD_NAMESPACE = "where-bullherd-runs"

Sample = dict[str, Any]


class Prometheus:
    """Scrapes every half second, evaluates the rules every second."""

    def __init__(self, folder: Path, ports: Mapping[str, int], rules: Path) -> None:
        self._folder = folder / "prometheus"
        self._url = f"http://127.0.0.1:{free_port()}"
        targets = [
            {
                "targets": [f"127.0.0.1:{port}"],
                # What the Prometheus operator makes of a pod behind a Service.
                "labels": {"job": job, "namespace": POD_NAMESPACE, "pod": f"{job}-0", "service": job},
            }
            for job, port in ports.items()
        ]
        scrape = {"job_name": "bullherd", "honor_labels": True, "static_configs": targets}
        self._targets = len(targets)
        self._config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [scrape],
        }
        self._process: asyncio.subprocess.Process
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Prometheus:
        program = shutil.which("prometheus")
        assert program, "prometheus is not installed: apt-get install prometheus"
        self._folder.mkdir()
        config = self._folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config))
        self._process = await asyncio.create_subprocess_exec(
            # setpriv: the kernel ends it with the test process, even when that is killed.
            *("setpriv", "--pdeathsig", "KILL", program),
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
            stderr=(self._folder / "log").open("wb"),
        )
        self._session = aiohttp.ClientSession(self._url)
        await self._when(self._answers, lambda: f"Prometheus to start:\n{(self._folder / 'log').read_text()}")
        # It looks at its list of targets for some seconds first, and growth from before is no growth to it.
        await self.until(f"count(up == 1) == {self._targets}")
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._session.close()
        self._process.kill()
        await self._process.wait()

    async def until(self, query: str) -> list[Sample]:
        """The answer as soon as there is one, in numbers: a quantile of nothing is none."""
        found: list[Sample] = []

        async def answered() -> bool:
            answer = await self._get("/api/v1/query", query=query)
            found[:] = [one for one in answer["result"] if not math.isnan(float(one["value"][1]))]
            return bool(found)

        await self._when(answered, lambda: f"an answer to {query}")
        return found

    async def label_values(self, label: str, metric: str) -> list[str]:
        """What Grafana's label_values() gives."""
        answer = await self._get(f"/api/v1/label/{label}/values", **{"match[]": metric})
        values: list[str] = answer
        return values

    async def evaluated_rules(self) -> list[Sample]:
        """All rules, each after it was evaluated at least once."""
        rules: list[Sample] = []

        async def evaluated() -> bool:
            groups = (await self._get("/api/v1/rules"))["groups"]
            rules[:] = [rule for group in groups for rule in group["rules"]]
            return bool(rules) and all(rule["health"] != "unknown" for rule in rules)

        await self._when(evaluated, lambda: "the rules to be evaluated")
        return rules

    async def _answers(self) -> bool:
        try:
            async with self._session.get("/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def _get(self, path: str, **parameters: str) -> Any:
        async with self._session.get(path, params=parameters) as response:
            answer = await response.json()
            assert answer["status"] == "success", f"{path} {parameters}: {answer}"
            return answer["data"]

    async def _when(self, holds: Callable[[], Any], what: Callable[[], str]) -> None:
        """What Prometheus knows is only seen by asking again and again."""
        limit = time.monotonic() + LIMIT_S
        while not await holds():
            if time.monotonic() > limit:
                raise AssertionError(f"waited {LIMIT_S:g} s in vain for {what()}")
            await asyncio.sleep(LOOK_S)
