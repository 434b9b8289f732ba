"""Connections to PostgreSQL that give up in time, and their errors in words that are safe to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from correction_aggregation.errors import DatabaseAwayError

CONNECT_ARGUMENTS = {
    "application_name": "correction-aggregation",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed in half a minute, not in the two hours of the
    # kernel's default.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

# libpq reports what happens before there is a session only as text, with the address and the user in it:
# known parts of it.
CONNECTION_PROBLEMS = (
    "Connection refused",
    "could not translate host name",
    "failed to resolve host",
    "timeout expired",
    "connection timeout",
    "Network is unreachable",
    "No route to host",
    "the database system is starting up",
    "the database system is shutting down",
    "server closed the connection unexpectedly",
    "terminating connection",
    "no password supplied",
    "password authentication failed",
    "no pg_hba.conf entry",
    "certificate verify failed",
    "does not support SSL",
)

SQLSTATE_PROBLEMS = {
    "08": "the connection broke",
    "28": "it refuses the user or the password; look at DATABASE_URL and DATABASE_PASSWORD",
    "3D": "there is no database of that name; look at DATABASE_URL",
    "40": "the transaction was rolled back by the server",
    "42501": "the user may not do that; it needs SELECT on every column of corrections but reviewer",
    "42703": "the table lacks a column; run `correction-aggregation migrate`",
    "42P01": "the table does not exist; run `correction-aggregation migrate`",
    "53": "it is out of resources or connections",
    "57014": "the statement took too long",
    "57P": "it is shutting down or starting up",
    "58": "it has trouble with its disk",
}


def open_engine(url: URL) -> Engine:
    """An engine without a pool: an item takes one connection for seconds, and a kept one might be to a
    server that is gone.

    Statements are not prepared, so that PgBouncer may stand between.
    """
    defaults = {name: value for name, value in CONNECT_ARGUMENTS.items() if name not in url.query}
    return create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={**defaults, "prepare_threshold": None},
    )


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection whose errors, at connecting or later, come as DatabaseAwayError."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise DatabaseAwayError(
            f"the corrections database at {place(engine.url)}: {problem(error)}"
        ) from None


def place(url: URL) -> str:
    return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def problem(error: DBAPIError) -> str:
    """What went wrong without what was sent: values and credentials stay out."""
    state = getattr(error.orig, "sqlstate", None) or ""
    for length in (5, 3, 2):
        if state[:length] in SQLSTATE_PROBLEMS:
            return SQLSTATE_PROBLEMS[state[:length]]
    text = str(error.orig)
    known = next((words for words in CONNECTION_PROBLEMS if words.lower() in text.lower()), None)
    if known is not None:
        return f"cannot be reached: {known}"
    return f"SQLSTATE {state}" if state else f"the connection failed ({type(error.orig).__name__})"
