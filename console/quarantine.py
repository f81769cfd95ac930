"""What is in quarantine, as people think of it: runs, each held by one route for all of its targets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from config.contracts.source import Source
from config.route import GATE
from console.failures import CommandFailed
from console.ledger_search import find
from console.selection import Selection
from workers.ledger.expiring import expiry
from workers.ledger.ledger import Ledger
from workers.ledger.quarantine import quarantined
from workers.ledger.records import DeliveryRecord


@dataclass(frozen=True)
class HeldRun:
    """One finish of a run that a route holds.

    Attributes:
        at: since when it is held, in ms.
        reason, why: in one word, and each thing that is not as expected.
        items: how many it has; None if it was not counted.
        expires: when the platform may delete its data, in ms since 1970; None if nobody can tell.
    """

    source: str
    run_id: str
    life: str
    route: str
    at: int
    reason: str
    why: tuple[str, ...]
    items: int | None
    expires: int | None
    deliveries: list[DeliveryRecord] = field(default_factory=list)

    @property
    def targets(self) -> str:
        return ", ".join(one.delivery.target for one in self.deliveries)


def held_runs(records: Iterable[DeliveryRecord], sources: Mapping[str, Source]) -> list[HeldRun]:
    """By route; of each, the ones whose data goes first come first."""
    found: dict[tuple[str, str, str, str], HeldRun] = {}
    for one in records:
        led = one.delivery
        key = (led.source, led.run_id, led.life, led.route)
        if key not in found:
            why, items = tuple(one.detail.split("; ")), one.facts.get("items_read")
            gone = expiry(sources, led.source, led.life)
            expires = round(gone * 1000) if gone is not None else None
            found[key] = HeldRun(*key, one.at, one.reason, why, items, expires)
        found[key].deliveries.append(one)
    return sorted(found.values(), key=lambda run: (run.route, run.reason, run.expires or math.inf, run.at))


async def chosen(ledger: Ledger, selection: Selection, ids: Sequence[str] = ()) -> list[DeliveryRecord]:
    """What is in quarantine and fits, of these ids if there are any. The times of the selection are those at which it
    was held. Raises CommandFailed for an id that holds nothing."""
    if ids:
        held = list({one.delivery.id: one for id in ids for one in await named(ledger, id)}.values())
    else:
        held = [one async for one in quarantined(ledger)]
    return [one for one in held if await selection.wants(ledger, msgspec.structs.replace(one, ended=one.at))]


async def named(ledger: Ledger, id: str) -> list[DeliveryRecord]:
    """What is held of a run, of an announcement, by a gate, or one delivery. Raises CommandFailed if nothing is."""
    known = (await find(ledger, id)).deliveries
    held = {one.delivery.id: one for each in known for one in await _behind(ledger, each)}
    if not held:
        raise CommandFailed("not_quarantined", f"{id} is not in quarantine: `runrelay show {id}` tells what it is")
    return list(held.values())


async def _behind(ledger: Ledger, one: DeliveryRecord) -> list[DeliveryRecord]:
    ones, gate = [one], one.delivery
    if gate.target == GATE:
        _, deliveries = await ledger.of_run(gate.source, gate.run_id)
        ones = [each for each in deliveries if (each.delivery.route, each.delivery.life) == (gate.route, gate.life)]
    return [each for each in ones if each.state == "quarantined"]
