"""Counts every row once: used, duplicate or unusable. What was read and what was counted must agree, or
nothing is published.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from correction_aggregation.curate import (
    Correction,
    PreferencePair,
    SupervisedPair,
    Unusable,
    category_of,
    curate,
)


@dataclass(frozen=True, slots=True)
class NewPairs:
    """The pairs of a row that no earlier row had."""

    preference: PreferencePair | None
    supervised: SupervisedPair | None


@dataclass
class CategoryCount:
    preference: int = 0
    supervised: int = 0


@dataclass
class Tally:
    """One pass over the rows in their stable order: the first row that teaches something keeps it, later
    ones are duplicates.

    The memory of what was seen takes about 100 bytes per pair.
    """

    read: int = 0
    used: int = 0
    duplicates: int = 0
    unusable: Counter[Unusable] = field(default_factory=Counter)
    categories: dict[str, CategoryCount] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set, repr=False)

    def take(self, row: Correction) -> NewPairs:
        self.read += 1
        lesson = curate(row)
        if isinstance(lesson, Unusable):
            self.unusable[lesson] += 1
            return NewPairs(None, None)
        preference = lesson.preference if lesson.preference and self._is_new(lesson.preference) else None
        supervised = lesson.supervised if self._is_new(lesson.supervised) else None
        if preference is None and supervised is None:
            self.duplicates += 1
            return NewPairs(None, None)
        self.used += 1
        count = self.categories.setdefault(category_of(row), CategoryCount())
        count.preference += preference is not None
        count.supervised += supervised is not None
        return NewPairs(preference, supervised)

    def check(self, rows_in_range: int) -> None:
        """The database counted the range in the same snapshot that was read."""
        accounted = self.used + self.duplicates + self.unusable.total()
        if not rows_in_range == self.read == accounted:
            raise RowsUnaccountedError(
                f"{rows_in_range} rows are in the range, {self.read} were read and {accounted} counted; "
                "nothing was published"
            )

    def _is_new(self, pair: PreferencePair | SupervisedPair) -> bool:
        fingerprint = pair.fingerprint
        if fingerprint in self._seen:
            return False
        self._seen.add(fingerprint)
        return True


class RowsUnaccountedError(Exception):
    """A row was lost between the database and the counts."""
