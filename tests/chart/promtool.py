"""promtool on the chart's alerts: what it says of a file, and which alerts fire under given series."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

INTERVAL = "30s"

Labels = Mapping[str, str]


def promtool(*arguments: str | Path) -> str:
    """What it printed; fails with what it complained about."""
    program = shutil.which("promtool")
    assert program, "promtool is not installed: apt-get install prometheus"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_fire(
    rules: Path, folder: Path, series: Mapping[str, str], at: str, expected: Iterable[Labels]
) -> None:
    """Exactly these alerts fire at that time. Series have a sample each 30 s, in promtool's notation."""
    samples = [
        {"labels": _selector("ALERTS", {**one, "alertstate": "firing"}), "value": 1} for one in expected
    ]
    query = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": at, "exp_samples": samples}
    test: dict[str, Any] = {
        "interval": INTERVAL,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [query],
    }
    file = folder / "test.yaml"
    whole = {"rule_files": [str(rules)], "evaluation_interval": INTERVAL, "tests": [test]}
    file.write_text(yaml.safe_dump(whole))
    promtool("test", "rules", file)


def _selector(name: str, labels: Labels) -> str:
    pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{pairs}}}"
