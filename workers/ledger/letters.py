"""What people do to records that have ended: dead letters go on or are given up, and deliveries are made again."""

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from config.contracts.after import AfterState
from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, delivery_id
from config.contracts.event import EventState
from config.contracts.old_runs import REPLAY, via
from config.keys import RecordKind
from workers.ledger.ledger import Ledger
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord

Letter = EventRecord | DeliveryRecord | AfterRecord

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
    """Everything that ended dead, events without their bodies, newest first. For reading: what is changed meanwhile
    shifts the rest."""
    begin = 0
    while members := await ledger.redis.zrevrange(ledger.keys.dead, begin, begin + _PAGE - 1):
        begin += _PAGE
        for raw in members:
            kind, _, record_id = raw.decode().partition(":")
            if letter := await dead_letter(ledger, kind, record_id):
                yield msgspec.structs.replace(letter, body=b"") if isinstance(letter, EventRecord) else letter


async def dead_letter(ledger: Ledger, kind: str, record_id: str) -> Letter | None:
    """None if it is none (any more)."""
    letter: Letter | None = None
    match kind:
        case "ev":
            letter = await ledger.event(record_id)
        case "dl":
            letter = await ledger.delivery(record_id)
        case "af":
            letter = await ledger.after(record_id)
    return letter if letter and letter.state == "dead" else None


def name_of(letter: Letter) -> tuple[RecordKind, str]:
    """Its kind and its id."""
    match letter:
        case EventRecord():
            return "ev", letter.id
        case DeliveryRecord():
            return "dl", letter.delivery.id
        case AfterRecord():
            return "af", letter.after.id


async def retry(ledger: Ledger, letter: Letter) -> Outcome:
    """Wake somebody who goes on where it stopped; its tries are counted afresh."""
    goes_on: tuple[str | bytes, ...] = (EventState.ACCEPTED.value,)
    if isinstance(letter, DeliveryRecord):
        patient = msgspec.structs.replace(letter.checkpoint, waits=0, unsettled=0.0, timeouts=0, restarts=0)
        goes_on = (DeliveryState.WAITING.value, msgspec.json.encode(patient))
    elif isinstance(letter, AfterRecord):
        goes_on = (AfterState.WAITING.value,)
    return _outcome(await ledger.run("retry", *name_of(letter), letter.ended, *goes_on))


async def drop(ledger: Ledger, letter: Letter) -> Outcome:
    """Give it up for good."""
    return _outcome(await ledger.run("drop", *name_of(letter), letter.ended))


async def replan(ledger: Ledger, event: EventRecord, *, effects: bool) -> Outcome:
    """Plan an event that no route wanted anew, with the file as it is when a worker gets to it.

    effects: also for sinks that act, and for what comes after a run.
    """
    return _outcome(await ledger.run("replan", event.id, event.ended, via(REPLAY, effects=effects)))


def _outcome(word: bytes) -> Outcome:
    return Outcome(word.decode())


def next_generation(delivery: Delivery) -> Delivery:
    """The same work as a delivery of its own: nothing at the far side takes it for the one before."""
    generation = delivery.generation + 1
    place = (delivery.source, delivery.run_id, delivery.life, delivery.route, delivery.target)
    return msgspec.structs.replace(delivery, id=delivery_id(*place, generation), generation=generation)


async def replay(
    ledger: Ledger,
    source: str,
    run_id: str,
    deliveries: Sequence[Delivery],
    documents: Mapping[str, bytes] | None = None,
) -> list[Outcome]:
    """Make deliveries of one run, each of a later generation, all in one step.

    documents: sha → a route's document, for every `Delivery.cfg` that no delivery had before. One that is kept and not
    used harms nobody, so it may come first; it is noted as used now, so that nobody forgets it meanwhile.
    """
    if documents:
        now = await ledger.now()
        keep = ledger.redis.pipeline()
        for sha, document in documents.items():
            keep.set(ledger.keys.document(sha), document, nx=True)
            keep.zadd(ledger.keys.documents, {sha: now}, gt=True)
        await keep.execute()
    encode = msgspec.json.encode
    parts = [part for one in deliveries for part in (one.id, encode(one), encode(Checkpoint()))]
    return [_outcome(word) for word in await ledger.run("replay", source, run_id, *parts)]
