"""What a web app may ask for: the data of an item in the queue `correction-aggregation`.

Unknown fields are refused rather than ignored: a `timezone` that should have been `timeZone` would
otherwise aggregate another day than its author meant, and nobody would notice.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator
from pydantic.alias_generators import to_camel

from correction_aggregation.time_range import ONE_DAY, TimeRange, day_range, previous_day

LONGEST_RANGE = timedelta(days=366)


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _known_zones():
        raise ValueError("not a time zone of the IANA database (Europe/Prague and UTC are)")
    return name


def _iso_date(value: Any) -> date:
    if not isinstance(value, str):
        raise ValueError("must be a date as text, such as 2026-11-01")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("not an ISO 8601 date, such as 2026-11-01") from None


def _iso_moment(value: Any) -> datetime:
    """ISO 8601 as `Date.toISOString()` writes it, or with another offset; without one it is UTC, a date
    alone its midnight.
    """
    if not isinstance(value, str):
        raise ValueError("must be a time as text, such as 2026-11-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("not an ISO 8601 time, such as 2026-11-01T00:00:00Z") from None


def _has_neighbours(day: date) -> date:
    if not date.min + 2 * ONE_DAY <= day <= date.max - 2 * ONE_DAY:
        raise ValueError("out of the calendar's range")
    return day


IsoDate = Annotated[date, BeforeValidator(_iso_date), AfterValidator(_has_neighbours)]
IsoMoment = Annotated[datetime, BeforeValidator(_iso_moment)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]


class _Request(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class DailyRequest(_Request):
    """One day: the previous one, unless `date` names another."""

    type: Literal["daily"]
    date: IsoDate | None = None
    time_zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _day_exists(self) -> DailyRequest:
        if self.date is not None:
            day_range(self.date, ZoneInfo(self.time_zone))
        return self

    def time_range(self, as_of: datetime) -> TimeRange:
        zone = ZoneInfo(self.time_zone)
        return previous_day(as_of, zone) if self.date is None else day_range(self.date, zone)


class RangeRequest(_Request):
    """Any range: `startDate` belongs to it, `endDate` does not."""

    type: Literal["range"]
    start_date: IsoMoment
    end_date: IsoMoment

    @model_validator(mode="after")
    def _ends_after_it_starts_and_soon_enough(self) -> RangeRequest:
        if self.end_date <= self.start_date:
            raise ValueError("endDate must be after startDate")
        if self.end_date - self.start_date > LONGEST_RANGE:
            raise ValueError(f"the range is longer than {LONGEST_RANGE.days} days; ask for it in parts")
        return self

    def time_range(self, as_of: datetime) -> TimeRange:
        return TimeRange(self.start_date, self.end_date)


class AggregationRequest(RootModel[Annotated[DailyRequest | RangeRequest, Field(discriminator="type")]]):
    """`{type: "daily", date?, timeZone?}` or `{type: "range", startDate, endDate}`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    def time_range(self, as_of: datetime) -> TimeRange:
        """The range to read; `as_of` is when the item was due, which says what day "the previous one" is."""
        return self.root.time_range(as_of)
