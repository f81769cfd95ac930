"""Records as they lie in Redis, decoded."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from config.contracts.after import After, AfterState
from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.event import EventState
from config.contracts.run import Run
from config.keys import RecordKind
from workers.ledger.packing import unpack


class Signal(StrEnum):
    """What a turn tells of the far side, for others that wait for it.

    `good`: it answers. `read`: the platform does, and the target was asked nothing. `fault`: the target has trouble;
    several in a row open its circuit. `refused`: the target wants other credentials. `source_refused`: the platform
    does.
    """

    NOTHING = ""
    GOOD = "good"
    READ = "read"
    FAULT = "fault"
    REFUSED = "refused"
    SOURCE_REFUSED = "source_refused"


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted event and what became of it.

    Attributes:
        at, ended: ms since 1970 by Redis' clock; ended is 0 while it is under way.
        attempt: planning attempts that failed.
        trouble: when the first of them failed, in ms as above; 0 when all is well.
        run: the run as fetched when it was planned; None before.
        deliveries: ids of the deliveries it leads to.
        reason, detail: why it ended or waits; empty if there is nothing to say.
        lonely: how many processes in a row died on it while they did nothing else.
        probing: whether it tries, for all that wait with it, if the far side answers again.
    """

    id: str
    state: EventState
    source: str
    run_id: str
    kind: str
    via: str
    at: int
    body: bytes = b""
    ended: int = 0
    attempt: int = 0
    trouble: int = 0
    run: Run | None = None
    deliveries: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""
    lonely: int = 0
    probing: bool = False


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery and how far it got. Times and words as in EventRecord; `attempt` counts tries that failed since it
    last got further. `broken_off`: whether the turn before this one ended without a word, killed or fenced off.
    `facts`: what it, or the gate before it, found the run to be: names that templates know."""

    delivery: Delivery
    state: DeliveryState
    checkpoint: Checkpoint
    at: int
    ended: int = 0
    attempt: int = 0
    trouble: int = 0
    broken_off: bool = False
    reason: str = ""
    detail: str = ""
    lonely: int = 0
    probing: bool = False
    facts: dict[str, Any] = {}


class LeadsTo(NamedTuple):
    """What follows a gate.

    Attributes:
        wanted: at once if the run is as expected; in quarantine if not.
        told: only if it is not.
    """

    wanted: tuple[Delivery, ...] = ()
    told: tuple[Delivery, ...] = ()

    def lines(self) -> bytes:
        """`wanted` or `told` and a delivery as JSON on each."""
        named = [(b"wanted ", one) for one in self.wanted] + [(b"told ", one) for one in self.told]
        return b"".join(kind + msgspec.json.encode(one) + b"\n" for kind, one in named)

    @classmethod
    def of(cls, lines: bytes) -> "LeadsTo":
        found: dict[bytes, list[Delivery]] = {b"wanted": [], b"told": []}
        for line in lines.splitlines():
            kind, _, written = line.partition(b" ")
            found[kind].append(msgspec.json.decode(written, type=Delivery))
        return cls(tuple(found[b"wanted"]), tuple(found[b"told"]))


class TakenDelivery(DeliveryRecord, frozen=True, kw_only=True):
    """A delivery and what was kept of its run by the event that led to it.

    Attributes:
        run: as fetched when it was planned; None if it is no longer kept.
        body, via: of the announcement.
        family: how many records there are of the run, this one and its event included.
        leads_to: of a gate, what follows it.
    """

    run: Run | None
    body: bytes
    via: str
    family: int
    leads_to: LeadsTo = LeadsTo()


class AfterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something to delete at the platform, and what became of it. Times and words as in EventRecord."""

    after: After
    state: AfterState
    at: int
    ended: int = 0
    attempt: int = 0
    trouble: int = 0
    reason: str = ""
    detail: str = ""
    lonely: int = 0
    probing: bool = False


class Born(msgspec.Struct, frozen=True):
    """A delivery that a gate creates, `waiting` or `quarantined`, why, and what the gate found."""

    delivery: Delivery
    state: DeliveryState
    reason: str = ""
    detail: str = ""
    facts: dict[str, Any] = {}


class Lease(msgspec.Struct, frozen=True):
    """The right to work on a record. `token` rises with every holder; scripts refuse all but the newest."""

    kind: RecordKind
    id: str
    token: int


Fields = Mapping[bytes, bytes]


def event_record(event_id: str, fields: Fields) -> EventRecord:
    return EventRecord(
        id=event_id,
        state=EventState(_text(fields, "state")),
        source=_text(fields, "source"),
        run_id=_text(fields, "run"),
        kind=_text(fields, "kind"),
        via=_text(fields, "via"),
        at=_number(fields, "at"),
        body=fields.get(b"body", b""),
        ended=_number(fields, "ended"),
        attempt=_number(fields, "attempt"),
        trouble=_number(fields, "trouble"),
        run=unpack(fields[b"snapshot"]) if b"snapshot" in fields else None,
        deliveries=tuple(_text(fields, "deliveries").split()),
        reason=_text(fields, "reason"),
        detail=_text(fields, "detail"),
        lonely=_number(fields, "lonely"),
        probing=bool(_number(fields, "probing")),
    )


def delivery_record(fields: Fields) -> DeliveryRecord:
    return DeliveryRecord(
        delivery=msgspec.json.decode(fields[b"delivery"], type=Delivery),
        state=DeliveryState(_text(fields, "state")),
        checkpoint=msgspec.json.decode(fields[b"checkpoint"], type=Checkpoint),
        at=_number(fields, "at"),
        ended=_number(fields, "ended"),
        attempt=_number(fields, "attempt"),
        trouble=_number(fields, "trouble"),
        broken_off=bool(_number(fields, "broken_off")),
        reason=_text(fields, "reason"),
        detail=_text(fields, "detail"),
        lonely=_number(fields, "lonely"),
        probing=bool(_number(fields, "probing")),
        facts=msgspec.json.decode(fields.get(b"facts", b"{}")),
    )


def taken_delivery(fields: Fields) -> TakenDelivery:
    return TakenDelivery(
        **msgspec.structs.asdict(delivery_record(fields)),
        run=unpack(fields[b"run_snapshot"]) if b"run_snapshot" in fields else None,
        body=fields.get(b"run_body", b""),
        via=_text(fields, "run_via"),
        family=_number(fields, "family"),
        leads_to=LeadsTo.of(fields.get(b"leads_to", b"")),
    )


def after_record(fields: Fields) -> AfterRecord:
    return AfterRecord(
        after=msgspec.json.decode(fields[b"after"], type=After),
        state=AfterState(_text(fields, "state")),
        at=_number(fields, "at"),
        ended=_number(fields, "ended"),
        attempt=_number(fields, "attempt"),
        trouble=_number(fields, "trouble"),
        reason=_text(fields, "reason"),
        detail=_text(fields, "detail"),
        lonely=_number(fields, "lonely"),
        probing=bool(_number(fields, "probing")),
    )


def _text(fields: Fields, name: str) -> str:
    return fields.get(name.encode(), b"").decode(errors="replace")


def _number(fields: Fields, name: str) -> int:
    return int(fields.get(name.encode(), b"0"))
