"""One run life on its way to one target: its identity, its states, its checkpoint and its receipt."""

from enum import StrEnum
from typing import Any, Literal

import msgspec

from config.contracts.event import digest

Send = Literal["items", "records", "requests", "run", "log"]


class DeliveryState(StrEnum):
    """waiting → running → (waiting | paused) → delivered | partial | superseded | dead | dropped

    Of a run that is not as its route expects, quarantined → waiting | dropped, by a person's word.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    DELIVERED = "delivered"
    PARTIAL = "partial"
    SUPERSEDED = "superseded"
    DEAD = "dead"
    DROPPED = "dropped"

    @property
    def final(self) -> bool:
        return self in {self.DELIVERED, self.PARTIAL, self.SUPERSEDED, self.DEAD, self.DROPPED}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What `plan` decided and `deliver` carries out. Created once, never changed.

    Attributes:
        id: see `delivery_id`.
        event_id: the event that was planned; other events of the same finish lead to the same delivery.
        source, run_id, life: which finish of which run.
        route, target, sink: names in runrelay.yaml; a target is a sink as one route uses it.
        generation: 0; every replay adds one, and is another delivery.
        cfg: sha256 of the route's document (route, sinks and defaults with `${…}` unfilled) kept under `cfg:<sha>`.
        streams: what is sent, in order: `items:<alias>`, `records`, `requests`, `run`, `log`, and `rows:records` or
            `rows:run` for rows that are made of those.
        turn: when the run finished, as Unix seconds, if deliveries to this target must go one by one and in this order
            (`only: {change: …}`); else 0.0.
    """

    id: str
    event_id: str
    source: str
    run_id: str
    life: str
    route: str
    target: str
    sink: str
    generation: int = 0
    cfg: str
    streams: tuple[str, ...]
    turn: float = 0.0


def delivery_id(source: str, run_id: str, life: str, route: str, target: str, generation: int = 0) -> str:
    """One delivery per finish of a run, target and generation, whatever announced it and however often."""
    return digest(source, run_id, life, route, target, str(generation))


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row per delivery × stream. Counts are source rows, whatever the sink makes of them.

    Attributes:
        route, target, sink, stream: whose row it is.
        expected: what the platform counts, asked after the counts have settled; never a counter of ours.
        read: rows we read.
        filtered: rows the route did not want.
        added: rows that the run does not have: of keys that are gone (`only: {change: [removed]}`).
        rejected: rows the far side could not take; each is kept with its reason.
        delivered: rows the far side confirmed.
        out: rows, requests or objects written there.
        bytes: bytes written there.
        from_offset: first raw row that counts; above 0 when an earlier life of the run was delivered already.
        warnings: what is probably not meant, such as a `where` that let nothing through.
        status: `balanced`, `open` while under way, `count_lagging` (the platform counts fewer rows than it gave us),
            or `unbalanced`.
    """

    route: str
    target: str
    sink: str
    stream: str
    expected: int = 0
    read: int = 0
    filtered: int = 0
    added: int = 0
    rejected: int = 0
    delivered: int = 0
    out: int = 0
    bytes: int = 0
    from_offset: int = 0
    warnings: tuple[str, ...] = ()
    status: str = "open"

    def closed(self, expected: int) -> "Receipt":
        """The row at the end of its stream, judged.

        `expected` is the platform's own count. It may lag below what was really read: then the rest of the
        balance decides, and the row says so.
        """
        settled = self.read + self.added == self.delivered + self.filtered + self.rejected
        if settled and expected == self.read:
            status = "balanced"
        elif settled and expected < self.read:
            status = "count_lagging"
        else:
            status = "unbalanced"
        return msgspec.structs.replace(self, expected=expected, status=status)


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a delivery durably got: where the next slice starts.

    Attributes:
        stream: index into `Delivery.streams`.
        offset: next raw row to read.
        batch: index of the next batch; for documents, how many are done.
        after: last document done, for streams that are continued by name.
        end: one past the last row, once the platform's counts have settled; None before.
        expected: what the platform counts, found together with `end`.
        position: what the sink needs to go on, opaque to everybody else.
        receipts: one row per stream begun, in order.
        waits: how often in a row it was too early.
        unsettled: seconds waited for the platform's counts in this attempt.
        timeouts: attempts in a row that ended because the counts did not settle.
        restarts: how often the sink lost what it had of the stream under way.
        tally: what was counted of the items on their way, for warnings and for what the route expects.
        seen: what the first item that was counted there is like, in words.
    """

    stream: int = 0
    offset: int = 0
    batch: int = 0
    after: str | None = None
    end: int | None = None
    expected: int | None = None
    position: dict[str, Any] | None = None
    receipts: tuple[Receipt, ...] = ()
    waits: int = 0
    unsettled: float = 0.0
    timeouts: int = 0
    restarts: int = 0
    tally: dict[str, int] = {}
    seen: dict[str, str] = {}
