"""How often a route must deliver."""

import re
from datetime import time
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.freshness import DAYS, Day, Freshness
from config.shapes.words import Shape, Text, listed
from config.units import Duration


def _moment(written: str) -> tuple[time, ZoneInfo]:
    """`07:00 Europe/Berlin`; without a zone it is UTC. Raises ValueError."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?: +(\S+))?", written, re.ASCII)
    if match is None:
        raise ValueError("not a time of day: write it as 07:00, with a zone as 07:00 Europe/Berlin")
    try:
        return time(int(match[1]), int(match[2])), ZoneInfo(match[3] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"`{match[3]}` is no time zone: write it as Europe/Berlin or America/New_York") from None


def _time_of_day(written: str) -> str:
    _moment(written)
    return written


class FreshnessShape(Shape):
    every: Annotated[Duration, Field(ge=60, le=366 * 86400)] | None = Field(
        None, description="Longest time between two deliveries.", examples=["every: 6h"]
    )
    by: Annotated[Text, AfterValidator(_time_of_day)] | None = Field(
        None,
        description="A time of day, with its zone (else UTC), by which one must have come since the day before.",
        examples=["by: 07:00 Europe/Berlin"],
    )
    days: Annotated[tuple[Day, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        DAYS, description="The days on which `by` is looked at.", examples=["days: [mon, tue, wed, thu, fri]"]
    )

    @model_validator(mode="after")
    def _says_one(self) -> "FreshnessShape":
        if (self.every is None) == (self.by is None):
            raise ValueError("give either `every` or `by`")
        if self.by is None and "days" in self.model_fields_set:
            raise ValueError("`days` needs `by`: a time of those days")
        return self

    def freshness(self) -> Freshness:
        return Freshness(self.every) if self.by is None else Freshness(None, *_moment(self.by), frozenset(self.days))
