"""How often a route must deliver: `every: 6h`, or once a day `by: 07:00 Europe/Berlin`."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Freshness:
    """One of both is given.

    Attributes:
        every: seconds that may pass between two deliveries.
        by: the time of day by which one must have come since the same time the day before.
        zone: whose time of day that is.
    """

    every: float | None = None
    by: time | None = None
    zone: tzinfo = UTC

    def since(self, now: float) -> float:
        """Unix seconds after which a delivery must have come for all to be well at `now`."""
        if self.every is not None:
            return now - self.every
        assert self.by is not None, "one of both is given"
        today = datetime.fromtimestamp(now, self.zone)
        due = today.replace(hour=self.by.hour, minute=self.by.minute, second=0, microsecond=0)
        if due > today:
            due = _day_before(due)
        return _day_before(due).timestamp()


def _day_before(moment: datetime) -> datetime:
    """The same time on the wall: 23 or 25 hours earlier where a clock was changed in between."""
    return moment - timedelta(days=1)
