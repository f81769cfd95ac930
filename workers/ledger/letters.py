"""What people do to records that have ended: dead letters go on or are given up, and deliveries are made again."""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

import msgspec

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, delivery_id
from config.contracts.event import EventState
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord

Letter = EventRecord | DeliveryRecord

_PAGE = 50


class Outcome(StrEnum):
    """What became of one record that was to be changed.

    `changed`: it is not what it was when it was looked at. `superseded`: a later delivery of the run took its rows
    over. `under_way`: something of the run is on its way to the same target. `known`: somebody replayed it just now.
    """

    DONE = "done"
    MADE = "made"
    CHANGED = "changed"
    SUPERSEDED = "superseded"
    UNDER_WAY = "under_way"
    KNOWN = "known"


async def dead_letters(ledger: Ledger) -> AsyncIterator[Letter]:
    """Events (without their bodies) and deliveries that ended dead, newest first. For reading: what is changed
    meanwhile shifts the rest."""
    begin = 0
    while members := await ledger.redis.zrevrange(ledger.keys.dead, begin, begin + _PAGE - 1):
        begin += _PAGE
        for raw in members:
            kind, _, record_id = raw.decode().partition(":")
            if letter := await dead_letter(ledger, kind, record_id):
                yield msgspec.structs.replace(letter, body=b"") if isinstance(letter, EventRecord) else letter


async def dead_letter(ledger: Ledger, kind: str, record_id: str) -> Letter | None:
    """None if it is none (any more)."""
    if kind == "ev":
        event = await ledger.event(record_id)
        return event if event and event.state is EventState.DEAD else None
    delivery = await ledger.delivery(record_id) if kind == "dl" else None
    return delivery if delivery and delivery.state is DeliveryState.DEAD else None


async def retry(ledger: Ledger, letter: Letter) -> Outcome:
    """Wake somebody who goes on at its checkpoint; its tries are counted afresh."""
    if isinstance(letter, EventRecord):
        return _outcome(await ledger.run("retry", "ev", letter.id, letter.ended, EventState.ACCEPTED.value))
    patient = msgspec.structs.replace(letter.checkpoint, waits=0, unsettled=0.0, timeouts=0, restarts=0)
    waiting = DeliveryState.WAITING.value
    packed = msgspec.json.encode(patient)
    return _outcome(await ledger.run("retry", "dl", letter.delivery.id, letter.ended, waiting, packed))


async def drop(ledger: Ledger, letter: Letter) -> Outcome:
    """Give it up for good."""
    kind, record_id = ("ev", letter.id) if isinstance(letter, EventRecord) else ("dl", letter.delivery.id)
    return _outcome(await ledger.run("drop", kind, record_id, letter.ended))


def _outcome(word: bytes) -> Outcome:
    return Outcome(word.decode())


def next_generation(delivery: Delivery) -> Delivery:
    """The same work as a delivery of its own: nothing at the far side takes it for the one before."""
    generation = delivery.generation + 1
    place = (delivery.source, delivery.run_id, delivery.life, delivery.route, delivery.target)
    return msgspec.structs.replace(delivery, id=delivery_id(*place, generation), generation=generation)


async def replay(ledger: Ledger, source: str, run_id: str, deliveries: Sequence[Delivery]) -> list[Outcome]:
    """Make deliveries of one run, each a `next_generation`, all in one step."""
    encode = msgspec.json.encode
    parts = [part for one in deliveries for part in (one.id, encode(one), encode(Checkpoint()))]
    return [_outcome(word) for word in await ledger.run("replay", source, run_id, *parts)]
