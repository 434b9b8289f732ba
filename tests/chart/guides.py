"""The fenced blocks of docs/install.md, connections.md and autoscaling.md: what stands there is run by the
tests.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.chart.rendering import ROOT

INSTALL = ROOT / "docs" / "install.md"
CONNECTIONS = ROOT / "docs" / "connections.md"
AUTOSCALING = ROOT / "docs" / "autoscaling.md"


def blocks(page: Path, language: str) -> list[str]:
    """In their order; ``sh`` is run, ``console`` is only shown."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
