"""The schema, who may read what, and a database that is away. Needs PostgreSQL (see postgres.py)."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, Engine, create_engine, inspect, text

from correction_aggregation.aggregate import Progress, aggregate
from correction_aggregation.cli import main
from correction_aggregation.database import open_engine
from correction_aggregation.errors import DatabaseAwayError
from correction_aggregation.migrate import VERSION_TABLE, migrate
from correction_aggregation.schema import Base
from correction_aggregation.seed import seed_days
from correction_aggregation.target import INCOMING, VolumeTarget
from tests.aggregation.conftest import DAY, AddRows
from tests.aggregation.postgres import PASSWORD, PostgresServer
from tests.fixtures.redis import free_port

READABLE = "id, prompt, model_response, corrected_response, rating, category, created_at"


def test_the_migrations_make_the_schema_that_the_code_describes(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, Base.metadata) == []
    checks = inspect(database).get_check_constraints("corrections")
    assert [check["name"] for check in checks] == ["corrections_rating_check"]


def test_migrating_again_and_at_once_is_fine(postgres_process: PostgresServer) -> None:
    postgres_process.run("CREATE DATABASE bare TEMPLATE template0")
    engine = open_engine(postgres_process.url("bare"))
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: migrate(engine), range(4)))
        migrate(engine)
        assert set(inspect(engine).get_table_names()) == {"corrections", VERSION_TABLE}
    finally:
        postgres_process.run("DROP DATABASE bare WITH (FORCE)")


def test_the_sql_for_an_administrator_makes_the_same_table(
    postgres_process: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere.invalid/nothing")
    assert main(["migrate", "--sql"]) == 0
    sql = capsys.readouterr().out
    postgres_process.run("CREATE DATABASE by_hand TEMPLATE template0")
    engine = create_engine(postgres_process.url("by_hand"))
    try:
        with engine.connect() as connection:
            assert connection.connection.driver_connection is not None
            connection.connection.driver_connection.execute(sql.encode())
            connection.connection.driver_connection.commit()
        migrate(engine)
        assert set(inspect(engine).get_table_names()) == {"corrections", VERSION_TABLE}
    finally:
        engine.dispose()
        postgres_process.run("DROP DATABASE by_hand WITH (FORCE)")


def test_a_role_that_may_not_read_the_reviewer_is_enough(
    postgres_process: PostgresServer,
    database: Engine,
    database_name: str,
    volume: VolumeTarget,
    add_rows: AddRows,
) -> None:
    add_rows({})
    postgres_process.run(
        "CREATE ROLE worker LOGIN PASSWORD 'w'",
        f"GRANT SELECT ({READABLE}) ON corrections TO worker",
        database=database_name,
    )
    try:
        worker = open_engine(postgres_process.url(database_name, "worker", "w"))
        assert aggregate(DAY, worker, volume, lambda progress: None).preference_pairs == 1
        with worker.connect() as connection, pytest.raises(Exception, match="permission denied"):
            connection.execute(text("SELECT reviewer FROM corrections"))
    finally:
        postgres_process.run("DROP OWNED BY worker", "DROP ROLE worker", database=database_name)


def failure(url: URL, volume: VolumeTarget) -> str:
    """What reaches the item in Redis: the message and the traceback."""
    with pytest.raises(DatabaseAwayError) as caught:
        aggregate(DAY, open_engine(url), volume, lambda progress: None)
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert "psycopg" not in shown
    return str(caught.value)


def test_nobody_listens(volume: VolumeTarget) -> None:
    port = free_port()
    url = URL.create("postgresql+psycopg", "owner", PASSWORD, "127.0.0.1", port, "corrections")
    assert failure(url, volume) == (
        f"the corrections database at 127.0.0.1:{port}/corrections cannot be reached: connection refused"
    )


def test_the_name_does_not_resolve(volume: VolumeTarget) -> None:
    url = URL.create("postgresql+psycopg", "owner", PASSWORD, "postgres.invalid", 5432, "corrections")
    assert "postgres.invalid:5432/corrections cannot be reached: its host name does not resolve" in failure(
        url, volume
    )


def test_a_wrong_password_is_not_repeated(postgres_process: PostgresServer, volume: VolumeTarget) -> None:
    message = failure(postgres_process.url(password=PASSWORD + "x"), volume)
    assert "refuses the user or the password" in message


def test_no_such_database(postgres_process: PostgresServer, volume: VolumeTarget) -> None:
    assert "has no database or user of that name" in failure(postgres_process.url("nothing"), volume)


def test_no_such_table(postgres_process: PostgresServer, volume: VolumeTarget) -> None:
    postgres_process.run("CREATE DATABASE empty TEMPLATE template0")
    try:
        assert "run `correction-aggregation migrate`" in failure(postgres_process.url("empty"), volume)
    finally:
        postgres_process.run("DROP DATABASE empty WITH (FORCE)")


@pytest.mark.parametrize("rows_before", [0, 1500])
def test_the_database_stops_while_rows_are_read_and_comes_back(
    postgres: PostgresServer,
    database: Engine,
    volume: VolumeTarget,
    monkeypatch: pytest.MonkeyPatch,
    rows_before: int,
) -> None:
    """Before the first row, and between two fetches of the cursor."""
    monkeypatch.setattr("correction_aggregation.aggregate.REPORT_EVERY_S", 0)
    seed_days(database, count=3000, days=1, last_day=DAY.start.date(), seed=1)

    def stop_there(progress: Progress) -> None:
        if progress.stage == "reading" and progress.rows == rows_before:
            postgres.stop()

    with pytest.raises(DatabaseAwayError, match=r"is shutting down|closed the connection") as caught:
        aggregate(DAY, open_engine(database.url), volume, stop_there)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert [path.name for path in volume.root.iterdir()] == [INCOMING]

    postgres.start()
    assert aggregate(DAY, open_engine(database.url), volume, lambda progress: None).rows.read == 3000


def test_values_of_rows_stay_out_of_errors(
    postgres_process: PostgresServer,
    database: Engine,
    database_name: str,
    volume: VolumeTarget,
    add_rows: AddRows,
) -> None:
    """PostgreSQL quotes the offending value in some errors; a view in the table's place can provoke one."""
    add_rows({"prompt": "jane@example.org"})
    postgres_process.run(
        "ALTER TABLE corrections RENAME TO kept",
        "CREATE VIEW corrections AS SELECT id, prompt, model_response, corrected_response, "
        "prompt::smallint AS rating, category, created_at FROM kept",
        database=database_name,
    )
    assert "jane" not in failure(database.url, volume)


def test_a_server_that_does_not_answer_is_given_up(postgres: PostgresServer, volume: VolumeTarget) -> None:
    postgres.freeze()
    try:
        url = postgres.url().update_query_dict({"connect_timeout": "2"})
        assert "cannot be reached: no answer in time" in failure(url, volume)
    finally:
        postgres.thaw()
