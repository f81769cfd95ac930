"""Watching what becomes of one run, in the ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from config.contracts.delivery import DeliveryState, Receipt
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord

PAUSE = 0.25
_HELD = DeliveryState.QUARANTINED


@dataclass(frozen=True)
class Fate:
    """What the ledger says of a run at one moment."""

    events: Sequence[EventRecord] = ()
    deliveries: Sequence[DeliveryRecord] = field(default=())

    @property
    def final(self) -> bool:
        """Whether nothing will change any more by itself."""
        ended = {one.delivery.id for one in self.deliveries if one.state.final or one.state is _HELD}
        return bool(self.events) and all(
            event.state.final and ended.issuperset(event.deliveries) for event in self.events
        )

    @property
    def delivered(self) -> bool:
        """Whether everything that was planned has arrived whole."""
        return self.final and all(one.state is DeliveryState.DELIVERED for one in self.deliveries)

    @property
    def receipts(self) -> list[Receipt]:
        return [row for one in self.deliveries for row in one.checkpoint.receipts]

    def open(self) -> list[str]:
        """One line for each thing that is still to come, with what it waits for."""
        if not self.events:
            return ["no event has arrived"]
        waiting = [f"event {event.id[:12]} is {_why(event)}" for event in self.events if not event.state.final]
        return waiting + [f"{name_of(one)} is {_why(one)}" for one in self.deliveries if not one.state.final]

    def held(self) -> list[str]:
        """One line for each delivery that waits for a person, who may let it go."""
        return [f"{name_of(one)} is {_why(one)}" for one in self.deliveries if one.state is _HELD]


def name_of(record: DeliveryRecord) -> str:
    return f"{record.delivery.route}/{record.delivery.target}"


def _why(record: EventRecord | DeliveryRecord) -> str:
    reason = ": ".join(part for part in (record.reason, record.detail) if part)
    return f"{record.state.value} ({reason})" if reason else record.state.value


async def fate_of(ledger: Ledger, source: str, run_id: str) -> Fate:
    """What the ledger says now; deliveries in the order of the routes."""
    events, deliveries = await ledger.of_run(source, run_id)
    planned = {id: place for place, id in enumerate(id for event in events for id in event.deliveries)}
    return Fate(events, sorted(deliveries, key=lambda one: planned.get(one.delivery.id, len(planned))))


async def follow(ledger: Ledger, source: str, run_id: str) -> AsyncIterator[Fate]:
    """What the ledger says, again and again, until nothing will change any more."""
    while True:
        fate = await fate_of(ledger, source, run_id)
        yield fate
        if fate.final:
            return
        await asyncio.sleep(PAUSE)
