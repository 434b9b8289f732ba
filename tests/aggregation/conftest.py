"""Fixtures for the tests of correction-aggregation; see postgres.py for what the server needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert

from correction_aggregation.migrate import migrate
from correction_aggregation.schema import CorrectionRow
from correction_aggregation.target import VolumeTarget
from correction_aggregation.time_range import TimeRange
from tests.aggregation.postgres import PostgresServer
from tests.webapp.conftest import webapp

__all__ = ["webapp"]

DAY = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

AddRows = Callable[..., None]


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.create()
        engine = create_engine(server.url("template1"))
        migrate(engine)
        engine.dispose()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(postgres_process: PostgresServer) -> Iterator[PostgresServer]:
    """The server, running again after a test that stopped it."""
    yield postgres_process
    postgres_process.stop()
    postgres_process.start()


_numbers = itertools.count(1)


@pytest.fixture
def database_name(postgres_process: PostgresServer) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    postgres_process.run(f"CREATE DATABASE {name}")
    yield name
    postgres_process.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_process: PostgresServer, database_name: str) -> Iterator[Engine]:
    """An empty table of corrections in a database of the test's own."""
    engine = create_engine(postgres_process.url(database_name))
    yield engine
    engine.dispose()


@pytest.fixture
def add_rows(database: Engine) -> AddRows:
    """Rows with sound defaults: `add_rows({"prompt": "…"}, {"rating": 5})`, all at noon of DAY unless they
    say otherwise.
    """

    def add(*rows: dict[str, Any]) -> None:
        with database.begin() as connection:
            for row in rows:
                connection.execute(insert(CorrectionRow), [DEFAULT_ROW | row])

    return add


DEFAULT_ROW: dict[str, Any] = {
    "prompt": "What is two and two?",
    "model_response": "Five.",
    "corrected_response": "Four.",
    "rating": 2,
    "category": "math",
    "reviewer": "Jane Doe <jane@example.org>",
    "created_at": NOON,
}


@pytest.fixture
def volume(tmp_path: Path) -> VolumeTarget:
    return VolumeTarget(tmp_path / "training-data")
