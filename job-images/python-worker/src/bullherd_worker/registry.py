"""Job kinds: what ``@job`` registers, and how an item's data and a handler's result pass through their
models.

Validation messages name the field and the reason, never the value: they end up in logs, and values may be
personal.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from bullherd_worker.errors import InvalidItemError, UnknownJobKindError

H = TypeVar("H", bound=Callable[..., Any])

SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class JobKind:
    """One kind of work: its name, its function, and the models at its edges."""

    name: str
    handler: Callable[[Any, Any], Any]
    timeout: float | None = None
    data: TypeAdapter[Any] | None = None
    result: TypeAdapter[Any] | None = None
    plain: bool = False
    event: str = field(default="")

    def read_data(self, raw: bytes) -> Any:
        """The item's data as the handler wants it, or ``InvalidItemError`` with field and reason."""
        try:
            return pydantic_core.from_json(raw) if self.data is None else self.data.validate_json(raw)
        except ValidationError as error:
            raise InvalidItemError(f"The item's data does not fit {self.name!r}: {describe(error)}") from None
        except ValueError:
            raise InvalidItemError(f"The item's data for {self.name!r} is not JSON") from None

    def write_result(self, value: Any) -> bytes:
        """The handler's result as JSON. A result that does not fit is a fault of the code: no retry would
        mend it.
        """
        try:
            if self.result is None:
                return pydantic_core.to_json(value, inf_nan_mode="null")
            return self.result.dump_json(self.result.validate_python(value), by_alias=True)
        except ValidationError as error:
            raise InvalidItemError(
                f"The result of {self.name!r} does not fit its model: {describe(error)}"
            ) from None
        except pydantic_core.PydanticSerializationError as error:
            raise InvalidItemError(
                f"The result of {self.name!r} cannot be written as JSON: {error}"
            ) from None


class Registry:
    """The job kinds of one process, by name."""

    def __init__(self) -> None:
        self._kinds: dict[str, JobKind] = {}

    def add(self, kind: JobKind) -> None:
        """Take in ``kind``; two functions for one name are a mistake that must not pass unseen."""
        if kind.name in self._kinds:
            raise ValueError(
                f"The job kind {kind.name!r} is registered twice; give one of the two another name"
            )
        self._kinds[kind.name] = kind

    def get(self, name: str) -> JobKind:
        """The kind called ``name``; the error lists what there is."""
        try:
            return self._kinds[name]
        except KeyError:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise UnknownJobKindError(
                f"No job kind {name!r} is registered (registered: {known}). Set JOB_KIND to one of these, or "
                f'start bullherd-worker with the module that has @job("{name}")'
            ) from None

    def job(
        self,
        name: str,
        *,
        data: type[Any] | None = None,
        result: type[Any] | None = None,
        timeout: float | None = None,
    ) -> Callable[[H], H]:
        """Register a function as the job kind ``name``.

        ``data`` and ``result`` are pydantic models, dataclasses or any type that pydantic knows; without
        ``data`` the handler gets what the JSON holds. ``timeout`` is in seconds per attempt; without it an
        attempt may take for ever. An ``async def`` runs in the event loop and must not block it; a plain
        ``def`` runs in a thread.
        """
        if timeout is not None and timeout <= 0:
            raise ValueError(f"The timeout of job kind {name!r} must be more than 0 seconds, not {timeout}")

        def register(handler: H) -> H:
            self.add(
                JobKind(
                    name=name,
                    handler=_checked(name, handler),
                    timeout=timeout,
                    data=None if data is None else TypeAdapter(data),
                    result=None if result is None else TypeAdapter(result),
                    plain=not inspect.iscoroutinefunction(handler),
                    event=re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "job",
                )
            )
            return handler

        return register


def _checked(name: str, handler: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Refuse a function that cannot be called with (data, context), when it is written and not when an item
    comes.
    """
    try:
        inspect.signature(handler).bind(object(), object())
    except TypeError:
        raise TypeError(
            f"The function of job kind {name!r} must take two arguments, the data and the context: "
            f"def {getattr(handler, '__name__', 'handler')}(data, context)"
        ) from None
    return handler


def describe(error: ValidationError, name: Callable[[str], str] = str) -> str:
    """``field: reason`` for the first few problems; pydantic's own text would quote the values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{name('.'.join(str(part) for part in problem['loc'])) or 'data'}: {problem['msg']}"
        for problem in problems[:SHOWN_PROBLEMS]
    ]
    if len(problems) > SHOWN_PROBLEMS:
        shown.append(f"and {len(problems) - SHOWN_PROBLEMS} more")
    return "; ".join(shown)


default_registry = Registry()
job = default_registry.job
