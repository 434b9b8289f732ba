"""The project's own Python and npm packages, installed when what they are made from has changed."""

import hashlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from dev.errors import DevError
from dev.paths import Checkout
from dev.steps import Report

PYTHON_PROJECTS = (".[dev]", "job-images/python-worker", "job-images/correction-aggregation")
NPM_PROJECTS = ("tests/node/v5", "tests/node/v6", "examples/webapp")
LIMIT = 900
PINNED = {"PIP_CONSTRAINT": "constraints.txt", "PIP_BUILD_CONSTRAINT": "constraints.txt"}
"""Unlike --constraint, these also hold for what our own packages are built with; see constraints.txt. A
relative path, because pip splits such a variable at spaces, and a checkout's path may have one.
"""


def install_python(checkout: Checkout, report: Report) -> str:
    """Every Python project of this checkout, editable, with exactly the versions of constraints.txt."""
    folders = [checkout.root / project.partition("[")[0] for project in PYTHON_PROJECTS]
    mark = Path(sys.prefix) / "bullherd-installed"
    content = _digest([*(folder / "pyproject.toml" for folder in folders), checkout.root / "constraints.txt"])
    if mark.exists() and mark.read_text() == content:
        return "unchanged"
    editable = [word for project in PYTHON_PROJECTS for word in ("--editable", project)]
    collected = 0

    def count(line: str) -> None:
        nonlocal collected
        if line.startswith("Collecting "):
            collected += 1
            report.progress(note=f"{collected} packages: {line.split()[1]}")

    report.run(
        [sys.executable, "-m", "pip", "install", "--no-input", *editable],
        cwd=checkout.root,
        env=PINNED,
        limit=LIMIT,
        on_line=count,
        todo="is the package index reachable (pip config list)? Then try again",
    )
    mark.write_text(content)
    return "installed"


def install_npm(folder: Path, report: Report) -> str:
    """Exactly what the lock file says."""
    if shutil.which("npm") is None:
        raise DevError("npm is not installed", todo="install Node 20 with npm, and run this again")
    mark = folder / "node_modules" / ".bullherd-installed"
    content = _digest([folder / "package.json", folder / "package-lock.json"])
    if mark.exists() and mark.read_text() == content:
        return "unchanged"
    report.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        limit=LIMIT,
        todo="is the npm registry reachable (npm config get registry)? Then try again",
    )
    mark.write_text(content)
    return "installed"


def _digest(files: Iterable[Path]) -> str:
    whole = hashlib.sha256(sys.version.encode())
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()
