"""Brings the database to the newest schema with Alembic: only what is missing, one migration at a time,
all or nothing.

Alembic rather than a runner of our own: the order of migrations, the version table and the SQL for a
database administrator (`migrate --sql`) are solved there. Its version table has our name, since the web
app whose database this is may use Alembic, too.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, text

from correction_aggregation.database import connected

VERSION_TABLE = "correction_aggregation_version"
LOCK = 0x0C0_44EC_7104  # any number that no other program locks


def migrate(engine: Engine) -> None:
    """Two at once are fine: the second waits for the first and finds nothing to do."""
    with connected(engine) as connection, connection.begin():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def print_sql(url: URL) -> None:
    """Write the SQL of all migrations to standard output instead of running it; no connection is made."""
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head", sql=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "correction_aggregation:migrations")
    config.set_main_option("path_separator", "os")
    return config
