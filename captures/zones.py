"""Time zones and moments that a timelapse may be given; pages, API and admin all ask here."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from media_jobs.filters import in_reach

# Files of the zone database that say how one machine is set up, or that nobody did it.
NO_PLACES = {"localtime", "Factory", "posixrules"}


@cache
def names() -> frozenset[str]:
    return frozenset(available_timezones() - NO_PLACES)


def known(name: str) -> str:
    """The name as it is. Raises ValidationError for what is no zone, or means another one on another machine."""
    if name not in names():
        raise ValidationError("This time zone is not known. Write it like Europe/Berlin.")
    return name


def problems_of(**moments: datetime | None) -> dict[str, list[str]]:
    """What is wrong with the moments that no camera knows, by their names; see in_reach."""
    problems = {}
    for name, moment in moments.items():
        try:
            if moment is not None:
                in_reach(moment)
        except ValidationError as error:
            problems[name] = error.messages
    return problems
