"""Lines of JSON, the same bytes for the same rows: fixed fields in a fixed order, UTF-8, one newline, no
clock, no host name.

A file is counted and hashed while it is written; its hash becomes part of its name when it is published
(see target.py).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from correction_aggregation.curate import Correction, PreferencePair, SupervisedPair, category_of
from correction_aggregation.errors import writing_to
from correction_aggregation.time_range import iso_utc


def preference_record(row: Correction, pair: PreferencePair) -> dict[str, Any]:
    return {"id": row.id, "prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected} | _about(
        row
    )


def supervised_record(row: Correction, pair: SupervisedPair) -> dict[str, Any]:
    about = {"source": pair.source.value} | _about(row)
    return {"id": row.id, "prompt": pair.prompt, "completion": pair.completion} | about


def _about(row: Correction) -> dict[str, Any]:
    return {"category": category_of(row), "rating": row.rating, "created_at": iso_utc(row.created_at)}


@dataclass(frozen=True)
class WrittenFile:
    """A finished file in the scratch folder."""

    path: Path
    stem: str
    records: int
    bytes: int
    sha256: str

    @property
    def published_name(self) -> str:
        """Named by its content: a file once published never changes, so a reader with a manifest in hand
        is never surprised.
        """
        return f"{self.stem}-{self.sha256[:16]}.jsonl"


class JsonLines:
    """A JSONL file being written."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._path = folder / f"{stem}.jsonl"
        self._stem = stem
        self._hash = sha256()
        self._records = 0
        self._bytes = 0

    def __enter__(self) -> Self:
        with writing_to(str(self._path)):
            self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written was said by `add` or `finished`
            self._file.close()

    def add(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with writing_to(str(self._path)):
            self._file.write(line)
        self._hash.update(line)
        self._records += 1
        self._bytes += len(line)

    def finished(self) -> WrittenFile:
        with writing_to(str(self._path)):
            self._file.flush()
        return WrittenFile(self._path, self._stem, self._records, self._bytes, self._hash.hexdigest())
