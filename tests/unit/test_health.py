"""Pulses of the operator's loops. Needs nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bullherd.telemetry.health import Health


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("bullherd.telemetry.health.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_loop_that_turns_is_well(clock: SimpleNamespace) -> None:
    health = Health()
    pulse = health.pulse("tick", 60)
    for _ in range(10):
        clock.now += 60
        pulse.beat()
    assert health.failures() == []


def test_a_loop_that_stopped_is_named(clock: SimpleNamespace) -> None:
    health = Health()
    health.pulse("tick", 60).beat()
    turning = health.pulse("hints", 60)
    clock.now += 61
    turning.beat()
    assert health.failures() == ["tick has not turned for 61 s (limit 60 s)"]


def test_a_loop_that_was_stopped_on_purpose_is_not_missed(clock: SimpleNamespace) -> None:
    health = Health()
    health.end(health.pulse("tick", 60))
    clock.now += 61
    assert health.failures() == []


def test_the_end_of_a_loop_does_not_end_the_one_that_took_its_name(clock: SimpleNamespace) -> None:
    """A new password makes a new watch of the same Redis, while the old one is still on its way out."""
    health = Health()
    old = health.pulse("tick of Redis a", 60)
    health.pulse("tick of Redis a", 60).beat()
    health.end(old)
    clock.now += 61
    assert len(health.failures()) == 1
