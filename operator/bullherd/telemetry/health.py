"""Whether the loops of this process still turn.

Each loop takes a ``Pulse`` and beats it every time round. A loop that died or hangs stops beating, and
``/healthz`` names it; the kubelet then restarts the process, which holds no state of its own. Watches that
fell silent are found by comparing what they brought with a list (see ``controllers.resync``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Pulse:
    """One loop's sign of life: it must beat at least every ``limit`` seconds."""

    name: str
    limit: float
    last_beat: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Say that the loop has turned."""
        self.last_beat = time.monotonic()

    @property
    def silent_for(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self.last_beat


class Health:
    """All pulses of this process, and whether it has begun to do what it is for."""

    def __init__(self) -> None:
        self._pulses: dict[str, Pulse] = {}
        self.ready = False

    def pulse(self, name: str, limit: float) -> Pulse:
        """Begin to expect beats of a loop."""
        self._pulses[name] = pulse = Pulse(name, limit)
        return pulse

    def end(self, pulse: Pulse) -> None:
        """Expect no more beats: the loop has been stopped on purpose. One that took its name stays."""
        if self._pulses.get(pulse.name) is pulse:
            del self._pulses[pulse.name]

    def failures(self) -> list[str]:
        """A sentence for each loop that stopped turning; empty when all is well."""
        return [
            f"{pulse.name} has not turned for {pulse.silent_for:.0f} s (limit {pulse.limit:.0f} s)"
            for pulse in self._pulses.values()
            if pulse.silent_for > pulse.limit
        ]
