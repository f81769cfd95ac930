"""How often a route must deliver: `freshness`. `HEAD` takes lines 1 to 6, so the route stands in line 7."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.freshness import DAYS, Freshness
from config.route import Route
from tests.config.loading import HEAD, table, told

BERLIN = ZoneInfo("Europe/Berlin")
BY_SEVEN = Freshness(by=time(7), zone=BERLIN)
WEEKDAYS = Freshness(by=time(7), zone=BERLIN, days=frozenset(DAYS[:5]))
#: A time that is left out on 2026-03-29 and comes twice on 2026-10-25.
BY_NIGHT = Freshness(by=time(2, 30), zone=BERLIN)

#: how often, the last delivery, and by when the next one must have come
DEADLINES = {
    "every six hours": (Freshness(21600), "2026-11-23T05:00+01:00", "2026-11-23T11:00+01:00"),
    "every day is 24 hours, whatever the wall says": (
        Freshness(86400), "2026-03-28T12:00+01:00", "2026-03-29T13:00+02:00",
    ),
    "in time": (BY_SEVEN, "2026-11-23T06:50+01:00", "2026-11-24T07:00+01:00"),
    "the evening before": (BY_SEVEN, "2026-11-22T22:00+01:00", "2026-11-24T07:00+01:00"),
    "right then is too late for today": (BY_SEVEN, "2026-11-23T07:00+01:00", "2026-11-24T07:00+01:00"),
    "late, which is in time for tomorrow": (BY_SEVEN, "2026-11-23T07:30+01:00", "2026-11-25T07:00+01:00"),
    "in time, and the clock is put forward": (BY_SEVEN, "2026-03-28T06:50+01:00", "2026-03-29T07:00+02:00"),
    "late, and the clock is put forward": (BY_SEVEN, "2026-03-28T07:30+01:00", "2026-03-30T07:00+02:00"),
    "in time, and the clock is put back": (BY_SEVEN, "2026-10-24T06:50+02:00", "2026-10-25T07:00+01:00"),
    "late, and the clock is put back": (BY_SEVEN, "2026-10-24T07:30+02:00", "2026-10-26T07:00+01:00"),
    "a time that is left out": (BY_NIGHT, "2026-03-28T01:00+01:00", "2026-03-29T03:30+02:00"),
    "a time that comes twice": (BY_NIGHT, "2026-10-24T01:00+02:00", "2026-10-25T02:30+02:00"),
    "between both of them": (BY_NIGHT, "2026-10-25T02:15+01:00", "2026-10-27T02:30+01:00"),
    "on Friday, for Monday": (WEEKDAYS, "2026-11-20T06:50+01:00", "2026-11-23T07:00+01:00"),
    "late on Friday": (WEEKDAYS, "2026-11-20T09:00+01:00", "2026-11-23T07:00+01:00"),
    "on Sunday, for Monday": (WEEKDAYS, "2026-11-22T09:00+01:00", "2026-11-24T07:00+01:00"),
    "on Sunday, but too early for Monday": (WEEKDAYS, "2026-11-22T06:50+01:00", "2026-11-23T07:00+01:00"),
}  # fmt: skip


@pytest.mark.parametrize("case", DEADLINES.values(), ids=DEADLINES)
def test_by_when_the_next_delivery_must_have_come(case: tuple[Freshness, str, str]) -> None:
    freshness, last, deadline = case
    found = freshness.deadline(datetime.fromisoformat(last).timestamp())
    assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(deadline)


moments = st.integers(946684800, 2114380800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(moments, st.times(), zones, st.frozensets(st.sampled_from(DAYS), min_size=1))
def test_a_deadline_is_on_one_of_its_days_at_its_time_and_a_day_away(
    last: datetime, by: time, zone: str, days: frozenset[str]
) -> None:
    by = by.replace(second=0, microsecond=0)
    freshness = Freshness(by=by, zone=ZoneInfo(zone), days=frozenset(day for day in DAYS if day in days))
    deadline = datetime.fromtimestamp(freshness.deadline(last.timestamp()), UTC)
    wall = deadline.astimezone(ZoneInfo(zone))
    assert DAYS[(wall - timedelta(hours=1) if wall.time() != by else wall).weekday()] in days
    assert wall.time() == by or not _exists(wall, by)
    assert timedelta(hours=22) < deadline - last < timedelta(days=9)


def _exists(wall: datetime, by: time) -> bool:
    """Whether the wall clock shows that time on that day."""
    there = wall.replace(hour=by.hour, minute=by.minute, fold=0)
    return there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None) == there.replace(tzinfo=None)


def route(folder: Path, freshness: str) -> Route:
    (found,) = table(folder, f"{HEAD}routes: [{{name: a, to: [{{sink: out}}], freshness: {freshness}}}]\n").routes
    return found


#: what is written, what it means, and how people are told
WRITTEN = {
    "{every: 6h}": (Freshness(21600), "every 6h"),
    "{every: 90m}": (Freshness(5400), "every 90m"),
    "{every: 1.5h}": (Freshness(5400), "every 90m"),
    "{every: 48h}": (Freshness(172800), "every 2d"),
    "{by: 07:00 Europe/Berlin}": (BY_SEVEN, "by 07:00 Europe/Berlin"),
    "{by: 23:59}": (Freshness(by=time(23, 59), zone=ZoneInfo("UTC")), "by 23:59 UTC"),
    "{by: 07:00 Europe/Berlin, days: [fri, mon]}": (
        Freshness(by=time(7), zone=BERLIN, days=frozenset({"mon", "fri"})),
        "by 07:00 Europe/Berlin on mon, fri",
    ),
    "{by: 07:00 Europe/Berlin, days: sun}": (
        Freshness(by=time(7), zone=BERLIN, days=frozenset({"sun"})),
        "by 07:00 Europe/Berlin on sun",
    ),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_what_is_written_is_what_is_meant(written: str, tmp_path: Path) -> None:
    found = route(tmp_path, written).freshness
    assert (found, str(found)) == WRITTEN[written]


WHOLE, BY = "7:50: routes[0].freshness: ", "7:55: routes[0].freshness.by: "
NO_TIME = (
    "not a time of day: write it as 07:00, with a zone as 07:00 Europe/Berlin · Example: `by: 07:00 Europe/Berlin`"
)
NO_ZONE = "is no time zone: write it as Europe/Berlin or America/New_York · Example: `by: 07:00 Europe/Berlin`"
MISTAKES = {
    "{}": f"{WHOLE}give either `every` or `by` · Example: `freshness: {{every: 6h}}`",
    "{every: 6h, by: 07:00}": f"{WHOLE}give either `every` or `by` · Example: `freshness: {{every: 6h}}`",
    "{every: 6h, days: mon}": f"{WHOLE}`days` needs `by`: a time of those days · Example: `freshness: {{every: 6h}}`",
    "{every: 10s}": "7:58: routes[0].freshness.every: must be at least 60 seconds · Example: `every: 6h`",
    "{by: 7 o'clock}": BY + NO_TIME,
    "{by: 24:00}": BY + NO_TIME,
    "{by: 07:00 Berlin}": f"{BY}`Berlin` {NO_ZONE}",
    "{by: 07:00 ../../etc/passwd}": f"{BY}`../../etc/passwd` {NO_ZONE}",
    "{by: 07:00, days: [mon, tuesday]}": (
        "7:74: routes[0].freshness.days[1]: must be `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`, not `tuesday`;"
        " did you mean `tue`? · Example: `days: [mon, tue, wed, thu, fri]`"
    ),
}


@pytest.mark.parametrize("written", MISTAKES)
def test_mistakes_are_told_with_their_place_and_cure(written: str, tmp_path: Path) -> None:
    text = f"{HEAD}routes: [{{name: a, to: [{{sink: out}}], freshness: {written}}}]\n"
    (said,) = told(tmp_path, text)
    assert said.removeprefix("runrelay.yaml:") == MISTAKES[written]


def test_runs_that_no_route_wants_come_when_they_come(tmp_path: Path) -> None:
    unmatched = "unmatched: {to: [{sink: out}], freshness: {every: 1h}}\n"
    (said,) = told(tmp_path, HEAD + "routes: [{name: a, to: [{sink: out}]}]\n" + unmatched)
    assert "unmatched.freshness: there is no key `freshness` here" in said
