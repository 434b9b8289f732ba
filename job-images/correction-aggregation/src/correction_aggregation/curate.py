"""What a correction teaches: a preference, a completion, both, or nothing and why not. Pure.

The rules, for a row with a prompt:
- the correction differs from the response: prefer it over the response, and learn it as a completion;
- there was no response: only the completion;
- no correction, or the same text again: the response is a completion if the reviewer marked it 4 or 5.

Texts are kept exactly as people wrote them. Only comparisons look past outer white space, line ends and
Unicode composition: two rows that differ in nothing else say the same.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b

GOOD_RATING = 4
UNCATEGORIZED = "uncategorized"


@dataclass(frozen=True, slots=True)
class Correction:
    """A row of the table, without the reviewer."""

    id: int
    prompt: str
    model_response: str
    corrected_response: str | None
    rating: int | None
    category: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PreferencePair:
    prompt: str
    chosen: str
    rejected: str

    @property
    def fingerprint(self) -> bytes:
        return _fingerprint("preference", self.prompt, self.chosen, self.rejected)


class CompletionSource(StrEnum):
    CORRECTED = "corrected"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class SupervisedPair:
    prompt: str
    completion: str
    source: CompletionSource

    @property
    def fingerprint(self) -> bytes:
        return _fingerprint("supervised", self.prompt, self.completion)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a usable row gives."""

    preference: PreferencePair | None
    supervised: SupervisedPair


class Unusable(StrEnum):
    """Why a row gives nothing; the explanation goes into the manifest."""

    PROMPT_EMPTY = "prompt_empty"
    RESPONSE_AND_CORRECTION_EMPTY = "response_and_correction_empty"
    NOT_CORRECTED_AND_NOT_RATED = "not_corrected_and_not_rated"
    NOT_CORRECTED_AND_RATED_LOW = "not_corrected_and_rated_low"

    @property
    def explanation(self) -> str:
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Unusable.PROMPT_EMPTY: "The prompt is empty or only white space.",
    Unusable.RESPONSE_AND_CORRECTION_EMPTY: "Neither the model's response nor the correction has any text.",
    Unusable.NOT_CORRECTED_AND_NOT_RATED: (
        "There is no correction (or it equals the response) and no rating, so nobody said that it was good."
    ),
    Unusable.NOT_CORRECTED_AND_RATED_LOW: (
        f"The response was rated under {GOOD_RATING}, but there is no correction (or it equals the response)."
    ),
}


def curate(row: Correction) -> Lesson | Unusable:
    prompt, response, correction = (
        comparable(row.prompt),
        comparable(row.model_response),
        comparable(row.corrected_response or ""),
    )
    if not prompt:
        return Unusable.PROMPT_EMPTY
    if correction and correction != response:
        chosen = row.corrected_response or ""
        preference = PreferencePair(row.prompt, chosen, row.model_response) if response else None
        return Lesson(preference, SupervisedPair(row.prompt, chosen, CompletionSource.CORRECTED))
    if not response:
        return Unusable.RESPONSE_AND_CORRECTION_EMPTY
    if row.rating is None:
        return Unusable.NOT_CORRECTED_AND_NOT_RATED
    if row.rating < GOOD_RATING:
        return Unusable.NOT_CORRECTED_AND_RATED_LOW
    return Lesson(None, SupervisedPair(row.prompt, row.model_response, CompletionSource.APPROVED))


def category_of(row: Correction) -> str:
    return (row.category or "").strip() or UNCATEGORIZED


def comparable(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


def _fingerprint(*parts: str) -> bytes:
    """16 bytes instead of the texts, so that a year of corrections can be compared in memory; each part's
    length keeps ("ab", "c") apart from ("a", "bc")."""
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = comparable(part).encode()
        digest.update(len(encoded).to_bytes(8))
        digest.update(encoded)
    return digest.digest()
