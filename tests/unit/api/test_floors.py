"""What the parser makes of a floor. Needs nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bullherd.api import InvalidQueueJob
from bullherd.api.floors import FloorSpec, duration_of

LEAST = {"schedule": "0 8 * * 1-5", "duration": "2h", "minReplicas": 5}


def parsed(**fields: Any) -> FloorSpec:
    """A floor with some fields replaced; one that is None is left out."""
    try:
        return FloorSpec.model_validate(LEAST | fields, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidQueueJob.from_validation(error) from None


def test_the_least_is_in_utc() -> None:
    floor = parsed()
    assert floor == FloorSpec(schedule="0 8 * * 1-5", time_zone="UTC", duration="2h", min_replicas=5)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1s", timedelta(seconds=1)),
        ("45s", timedelta(seconds=45)),
        ("90m", timedelta(minutes=90)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("1h0m1s", timedelta(hours=1, seconds=1)),
        ("0h5m", timedelta(minutes=5)),
        ("168h", timedelta(days=7)),
        ("604800s", timedelta(days=7)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert duration_of(parsed(duration=text).duration) == duration


_SCHEDULE = "schedule: a schedule has five fields"
_ZONE = "timeZone: a time zone is an IANA name such as Europe/Berlin or UTC"
_DURATION = (
    "duration: a duration is hours, minutes and seconds, such as 2h30m, 90m or 45s: more than 0s, at most"
)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule": None}, "schedule is missing"),
        ({"schedule": ""}, "schedule should have at least 1 character"),
        ({"schedule": "0 8 * *"}, _SCHEDULE),
        ({"schedule": "TZ=UTC 0 8 * * *"}, _SCHEDULE),
        ({"schedule": "0 0 * * fri#2"}, _SCHEDULE),
        ({"schedule": "@every 5m"}, _SCHEDULE),
        ({"schedule": "0 8 * * 1-5\n# mornings"}, _SCHEDULE),
        ({"schedule": "@reboot"}, "schedule: '@reboot' is not known. Write five fields"),
        ({"schedule": "0 22-2 * * *"}, "schedule: hour '22-2' goes backwards. Write 22-23,0-2"),
        ({"schedule": "0 8 * * 7"}, "schedule: day of week '7' is out of range"),
        ({"schedule": "0 0 31 2 *"}, "schedule: '0 0 31 2 *' never happens"),
        (
            {"timeZone": "Europe/Atlantis"},
            "timeZone: there is no time zone 'Europe/Atlantis'. Write an IANA name",
        ),
        ({"timeZone": "Local"}, "timeZone: there is no time zone 'Local'"),
        ({"timeZone": "Central European Time"}, _ZONE),
        ({"timeZone": "../UTC"}, _ZONE),
        ({"duration": None}, "duration is missing"),
        ({"duration": "2"}, "duration should have at least 2 characters"),
        ({"duration": "90"}, _DURATION),
        ({"duration": "0s"}, _DURATION),
        ({"duration": "0h0m"}, _DURATION),
        ({"duration": "5m1h"}, _DURATION),
        ({"duration": "1d"}, _DURATION),
        ({"duration": "1.5h"}, _DURATION),
        ({"duration": "-2h"}, _DURATION),
        ({"duration": "2h "}, _DURATION),
        ({"duration": "2h\n"}, _DURATION),
        ({"duration": "169h"}, _DURATION),
        ({"duration": "604801s"}, _DURATION),
        ({"duration": "999999h999999m"}, _DURATION),
        ({"duration": 90}, "duration should be a valid string, but is 90"),
        ({"minReplicas": 0}, "minReplicas should be greater than or equal to 1, but is 0"),
        ({"minReplicas": None}, "minReplicas is missing"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidQueueJob) as refused:
        parsed(**fields)
    (problem,) = refused.value.problems
    assert problem.startswith(words)
