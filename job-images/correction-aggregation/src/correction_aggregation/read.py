"""Streams the rows of a range, in one snapshot and in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.sql.elements import ColumnElement

from correction_aggregation.curate import Correction
from correction_aggregation.database import connected
from correction_aggregation.schema import CorrectionRow
from correction_aggregation.time_range import TimeRange

ROWS_PER_FETCH = 1000
STATEMENT_TIMEOUT = "5min"


@dataclass(frozen=True)
class Snapshot:
    """The range as one transaction sees it; rows that arrive meanwhile belong to the next run."""

    connection: Connection
    time_range: TimeRange

    def count(self) -> int:
        statement = select(func.count()).select_from(CorrectionRow).where(_within(self.time_range))
        return self.connection.execute(statement).scalar_one()

    def rows(self) -> Iterator[Correction]:
        """By time and then by id, since several rows may have the same time; never more than a fetch in
        memory.
        """
        statement = (
            select(
                CorrectionRow.id,
                CorrectionRow.prompt,
                CorrectionRow.model_response,
                CorrectionRow.corrected_response,
                CorrectionRow.rating,
                CorrectionRow.category,
                CorrectionRow.created_at,
            )
            .where(_within(self.time_range))
            .order_by(CorrectionRow.created_at, CorrectionRow.id)
        )
        with self.connection.execution_options(yield_per=ROWS_PER_FETCH).execute(statement) as result:
            for row in result:
                yield Correction(*row)


@contextmanager
def snapshot(engine: Engine, time_range: TimeRange) -> Iterator[Snapshot]:
    read_only = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with connected(read_only) as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        yield Snapshot(connection, time_range)


def _within(time_range: TimeRange) -> ColumnElement[bool]:
    return (CorrectionRow.created_at >= time_range.start) & (CorrectionRow.created_at < time_range.end)
