"""How often a route must deliver: `every: 6h`, or by a time of day, `by: 07:00 Europe/Berlin`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, get_args

#: In the order of `date.weekday`.
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Freshness:
    """One of `every` and `by` is given.

    Attributes:
        every: seconds that may pass between two deliveries.
        by: the time of day by which one must have come within the day that ends there.
        zone: whose time of day that is.
        days: of which days.
    """

    every: float | None = None
    by: time | None = None
    zone: tzinfo = UTC
    days: frozenset[Day] = frozenset(DAYS)

    def __str__(self) -> str:
        """As it is written in runrelay.yaml."""
        if self.by is None:
            return f"every {_amount(self.every or 0)}"
        on = "" if len(self.days) == len(DAYS) else f" on {', '.join(day for day in DAYS if day in self.days)}"
        return f"by {self.by:%H:%M} {self.zone}{on}"

    def deadline(self, last: float) -> float:
        """By when the next delivery must have come if the last one came at `last`; both in Unix seconds."""
        if self.by is None:
            return last + (self.every or 0)
        first = datetime.fromtimestamp(last, self.zone).date()
        return next(self._at(day) for day in self._from(first) if self._at(day - _DAY) >= last)

    def _from(self, day: date) -> Iterator[date]:
        """The days on which a delivery must come, from this one on."""
        while True:
            if DAYS[day.weekday()] in self.days:
                yield day
            day += _DAY

    def _at(self, day: date) -> float:
        """The moment on a day of the wall clock. A time that comes twice there, because the clock is put back, is the
        first of both; one that is left out is as much later as the clock is put forward (PEP 495)."""
        return datetime.combine(day, self.by or time(), self.zone).timestamp()


def _amount(seconds: float) -> str:
    """`6h`; `5400m` only where no larger unit fits."""
    size, unit = next((each for each in _UNITS if seconds % each[0] == 0), (1, "s"))
    return f"{seconds / size:g}{unit}"
