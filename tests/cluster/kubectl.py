"""kubectl as a person types it, for tests of what a person sees."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kubectl:
    """Calls kubectl, which must be on PATH, with one kubeconfig."""

    kubeconfig: Path

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """What it printed. A call that fails fails the test with what kubectl said."""
        done = self._call(words, stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def refused(self, *words: str, stdin: str | None = None) -> str:
        """What it complained of, in a call that must fail."""
        done = self._call(words, stdin)
        assert done.returncode != 0, f"kubectl {' '.join(words)} was not refused: {done.stdout}"
        return done.stderr

    def _call(self, words: tuple[str, ...], stdin: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
