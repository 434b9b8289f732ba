"""`correction-aggregation migrate` and `correction-aggregation seed`: the database before there is
anything to aggregate.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from correction_aggregation.database import open_engine, place
from correction_aggregation.errors import DatabaseAwayError, SettingsError
from correction_aggregation.migrate import migrate, print_sql
from correction_aggregation.seed import seed_days
from correction_aggregation.settings import database_settings
from correction_aggregation.time_range import ONE_DAY

RETRY_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        url = database_settings().url()
        if options.command == "migrate" and options.sql:
            print_sql(url)
            return 0
        engine = open_engine(url)
        if options.command == "migrate":
            _patiently(lambda: migrate(engine), options.wait)
            _say(f"the schema at {place(url)} is up to date")
        else:
            _seed(engine, options)
    except (SettingsError, DatabaseAwayError) as error:
        sys.stderr.write(f"correction-aggregation: {error}\n")
        return 1
    return 0


def _seed(engine: Engine, options: argparse.Namespace) -> None:
    last_day: date = options.last_day or datetime.now(UTC).date() - ONE_DAY
    count, days = options.count, options.days
    added = seed_days(engine, count=count, days=days, last_day=last_day, seed=options.seed)
    _say(f"{added} of {count} synthetic corrections added for the {days} days up to {last_day}")


def _patiently(action: Callable[[], None], limit_s: float) -> None:
    """A database that is only starting is worth waiting for; the last error tells why it was given up."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return action()
        except DatabaseAwayError:
            if time.monotonic() + RETRY_S > deadline:
                raise
            time.sleep(RETRY_S)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="correction-aggregation",
        description="Prepare the PostgreSQL database of DATABASE_URL for the correction-aggregation worker.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser("migrate", help="create or update the table of corrections")
    migrating.add_argument("--wait", type=float, default=60, metavar="S", help="wait for the database (60)")
    migrating.add_argument("--sql", action="store_true", help="print the SQL instead of running it")
    seeding = commands.add_parser("seed", help="add synthetic corrections, the same ones every time")
    seeding.add_argument("--count", type=_positive, default=5000, help="how many, over all days (5000)")
    seeding.add_argument("--days", type=_positive, default=28, help="over how many days in UTC (28)")
    seeding.add_argument("--last-day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="(yesterday)")
    seeding.add_argument("--seed", type=int, default=1, help="another number gives other corrections (1)")
    return top


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
