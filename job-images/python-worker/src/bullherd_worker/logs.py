"""JSON logs for machines, readable lines for terminals. Item data, results and private error messages never
go here.

Nor does Redis' password. Errors of Redis are logged in its own words, and a server that does not know AUTH
quotes what it was sent: "unknown command 'AUTH', with args beginning with: 'name' 'password'". Such arguments
are cut off, for they may hold only the first half of a long password, and the password is replaced wherever
else it stands in words that are not ours: a ``problem``, a traceback, a library's line. Not in every value: a
password like "echo" would leave gaps that give it away.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Literal

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


_QUOTED_ARGUMENTS = re.compile(r", with args beginning with:.*")


def configure(format_: Literal["auto", "json", "console"], level: str, password: str | None = None) -> None:
    """Set structlog up for the process; one line per event on standard output. ``password`` is Redis'."""
    console = format_ == "console" or (format_ == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        lambda _logger, _method, line: _censor(line, ("problem", "exception"), password),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; their warnings come out as lines of the same format.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.add_logger_name,
                lambda _logger, _method, line: _censor(line, ("event",), password),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(LEVELS[level], logging.WARNING), handlers=[handler], force=True)


def without_password(text: str, password: str | None) -> str:
    """``text`` of a Redis error without what gives the password away."""
    text = _QUOTED_ARGUMENTS.sub("", text)
    return text.replace(password, "***") if password else text


def _censor(line: Any, names: tuple[str, ...], password: str | None) -> Any:
    for name in names:
        if isinstance(line.get(name), str):
            line[name] = without_password(line[name], password)
    return line
