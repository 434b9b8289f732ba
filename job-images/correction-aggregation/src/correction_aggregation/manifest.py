"""The manifest: what the training data of a range consists of, and what became of every row.

It is the last thing to be published and the first that a reader should open: it names the files by their
content, so a manifest and its files always belong together. It holds nothing that differs between two runs
over the same rows.
"""

from __future__ import annotations

import json
from typing import Any

from correction_aggregation.curate import Unusable
from correction_aggregation.tally import Tally
from correction_aggregation.time_range import TimeRange, iso_utc
from correction_aggregation.write import WrittenFile

MANIFEST_NAME = "manifest.json"
FORMAT = "correction-training-data/1"


def manifest(
    time_range: TimeRange, tally: Tally, preference: WrittenFile, supervised: WrittenFile
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "range": {"start": iso_utc(time_range.start), "end": iso_utc(time_range.end)},
        "files": {"preference": _file(preference), "supervised": _file(supervised)},
        "rows": {
            "read": tally.read,
            "used": tally.used,
            "duplicates": tally.duplicates,
            "unusable": tally.unusable.total(),
        },
        "unusable": {
            reason.value: {"rows": tally.unusable[reason], "explanation": reason.explanation}
            for reason in Unusable
            if tally.unusable[reason]
        },
        "categories": {
            name: {"preference": count.preference, "supervised": count.supervised}
            for name, count in sorted(tally.categories.items())
        },
    }


def manifest_bytes(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"


def _file(written: WrittenFile) -> dict[str, Any]:
    return {
        "name": written.published_name,
        "records": written.records,
        "bytes": written.bytes,
        "sha256": written.sha256,
    }
