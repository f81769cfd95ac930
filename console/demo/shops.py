"""Small runs beside the crawl, one a day, and what one route makes of them: filtered, mapped, checked, and compared
with the day before. What they leave is known beforehand, so what must arrive is known, too."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from config.contracts.delivery import DeliveryState, Receipt
from config.sources.apify.starting import RunOptions, start
from config.sources.apify.webhooks import pointing_at
from console.demo.folder import DemoFolder
from console.demo.price_list import DAYS
from console.demo.stage import Stage
from console.following import Fate, fate_of
from console.receipts import balanced

ROUTE = "prices"

#: Day → the changes that must arrive, by kind.
CHANGES = {"monday": {"new": 3}, "tuesday": {"new": 1, "changed": 1, "removed": 1}}
#: The day whose run is not as expected.
HELD = "wednesday"


@dataclass(frozen=True)
class Day:
    """The run of one day, and what became of it so far."""

    name: str
    run_id: str
    fate: Fate = field(default_factory=Fate)

    @property
    def receipts(self) -> dict[str, Receipt]:
        """By target."""
        return {row.target: row for row in self.fate.receipts}

    @property
    def held(self) -> str:
        """Why nothing of it was delivered; empty if that is not so."""
        held = (one for one in self.fate.deliveries if one.state is DeliveryState.QUARANTINED)
        return next((one.detail for one in held), "")


async def open_shops(stage: Stage) -> list[Day]:
    """Run one day after the other, each as soon as the one before has ended."""
    webhook = pointing_at(stage.webhooks, stage.source.secret)
    days = []
    for day in DAYS:
        run = await start(stage.api, f"local~shop-{day}", options=RunOptions(wait_for_finish=60), webhooks=[webhook])
        days.append(Day(day, run["id"]))
    return days


async def looked(stage: Stage, days: Sequence[Day]) -> list[Day]:
    return [Day(day.name, day.run_id, await fate_of(stage.ledger, stage.source.name, day.run_id)) for day in days]


def complaints(folder: DemoFolder, days: Sequence[Day]) -> list[str]:
    """Everything that is not as it should be, by counts of our own."""
    return [said for day in days for said in _of_day(folder, day)]


def _of_day(folder: DemoFolder, day: Day) -> Iterator[str]:
    for row in day.fate.receipts:
        if row.status != "balanced" or not balanced(row):
            yield f"{row.route}/{row.target} of {day.name} does not balance ({row.status})"
    states = {one.delivery.target: one.state for one in day.fate.deliveries}
    done, held = DeliveryState.DELIVERED, DeliveryState.QUARANTINED
    wanted = {"expect": done, "list": done, "changes": done}
    if day.name == HELD:
        wanted = {"expect": done, "list": held, "changes": held, "held": done}
    if states != wanted:
        yield f"{ROUTE} of {day.name}: {_words(states)} instead of {_words(wanted)}"
    elif day.name != HELD and (found := changes(folder, day.name)) != CHANGES[day.name]:
        yield f"{ROUTE}/changes of {day.name}: {found} instead of {CHANGES[day.name]}"


def _words(states: Mapping[str, DeliveryState]) -> str:
    return ", ".join(f"{name} {state}" for name, state in states.items()) or "nothing"


def changes(folder: DemoFolder, day: str) -> dict[str, int]:
    """How many items of each kind lie in the file of a day."""
    path = folder.path / "changes" / f"local-shop-{day}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(Counter(json.loads(line)["_change"] for line in lines))


def told(folder: DemoFolder, day: Day) -> str:
    """One line about a day, for people."""
    if day.name == HELD:
        return f"held, nothing was delivered: {day.held}"
    row = day.receipts["list"]
    kinds = ", ".join(f"{many} {kind}" for kind, many in changes(folder, day.name).items())
    items = f"{row.read} item{'s' * (row.read != 1)}"
    return f"{items}, {row.filtered} filtered, {row.delivered} mapped; changes: {kinds}"
