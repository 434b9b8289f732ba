"""Connections to PostgreSQL that give up in time, and their errors in words that are safe to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from correction_aggregation.errors import DatabaseAwayError

CONNECT_ARGUMENTS = {
    "application_name": "correction-aggregation",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed in half a minute, not in the two hours of the
    # kernel's default.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

# libpq reports what happens before there is a session as text alone, with the address and the user in it.
# Known parts of that text, and what they mean.
CONNECTION_PROBLEMS = {
    "connection refused": "cannot be reached: connection refused",
    "could not translate host name": "cannot be reached: its host name does not resolve",
    "failed to resolve host": "cannot be reached: its host name does not resolve",
    "name or service not known": "cannot be reached: its host name does not resolve",
    "timeout expired": "cannot be reached: no answer in time",
    "connection timeout": "cannot be reached: no answer in time",
    "network is unreachable": "cannot be reached: network is unreachable",
    "no route to host": "cannot be reached: no route to host",
    "the database system is starting up": "is starting up",
    "the database system is shutting down": "is shutting down",
    "terminating connection": "is shutting down or ended our session",
    "server closed the connection": "closed the connection",
    "connection slots": "has no free connection",
    "too many c": "has no free connection",
    "password": "refuses the user or the password; look at DATABASE_URL and DATABASE_PASSWORD",
    "pg_hba.conf": "refuses our address, user or lack of TLS (pg_hba.conf)",
    "certificate": "has a certificate that is not trusted, or refuses ours",
    "does not support ssl": "offers no TLS, but DATABASE_URL asks for it",
    "does not exist": "has no database or user of that name; look at DATABASE_URL",
}

SQLSTATE_PROBLEMS = {
    "08": "closed the connection",
    "28": "refuses the user or the password; look at DATABASE_URL and DATABASE_PASSWORD",
    "3D": "has no database of that name; look at DATABASE_URL",
    "40": "rolled the transaction back",
    "42501": "lets our user not do that; it needs SELECT on every column of corrections but reviewer",
    "42703": "lacks a column of the table corrections; run `correction-aggregation migrate`",
    "42P01": "has no table corrections; run `correction-aggregation migrate`",
    "53": "is out of resources or connections",
    "57014": "took too long for a statement",
    "57P": "is shutting down or starting up",
    "58": "has trouble with its disk",
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
        raise DatabaseAwayError(f"the corrections database at {place(engine.url)} {problem(error)}") from None


def place(url: URL) -> str:
    return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def problem(error: DBAPIError) -> str:
    """What went wrong without what was sent: values and credentials stay out."""
    state = getattr(error.orig, "sqlstate", None) or ""
    for length in (5, 3, 2):
        if state[:length] in SQLSTATE_PROBLEMS:
            return SQLSTATE_PROBLEMS[state[:length]]
    text = str(error.orig).lower()
    known = next((meaning for words, meaning in CONNECTION_PROBLEMS.items() if words in text), None)
    return known or f"failed ({f'SQLSTATE {state}' if state else type(error.orig).__name__})"
