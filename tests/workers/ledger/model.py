"""The ledger as it should be, in memory: what each record is, who holds it, and what every step must answer.

It knows nothing of wake-ups, places and lines. Those are means; what they are for is looked at from outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from config.contracts.delivery import Delivery
from config.keys import RecordKind
from workers.ledger.letters import Outcome

FINAL = frozenset({"planned", "unmatched", "superseded", "delivered", "partial", "dead", "dropped"})
WORKING = {"ev": "planning", "dl": "running"}
RESTING = {"ev": "accepted", "dl": "waiting"}
#: Deaths in a row after which only a process that does nothing else works on a record.
SUSPECT = 2

Taking = Literal["taken", "not now", "alone"]


@dataclass
class Record:
    """Attributes:
    token: of the newest holder.
    held: whether that one still is.
    crashes: how many holders in a row ended without a word.
    waits: whether it is to be left alone until its time has come.
    lost: whether nobody comes for it but the sweeper, since its wake-up is gone.
    """

    kind: RecordKind
    id: str
    state: str
    delivery: Delivery | None = None
    token: int = 0
    held: bool = False
    crashes: int = 0
    waits: bool = False
    lost: bool = False
    attempt: int = 0
    offset: int = 0

    @property
    def member(self) -> str:
        return f"{self.kind}:{self.id}"

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def ready(self) -> bool:
        """Whether somebody comes for it: it has been woken, or stands in a line."""
        return not (self.final or self.held or self.waits or self.lost)


@dataclass
class Model:
    """Attributes:
    records: by `<kind>:<id>`.
    paused: what is held by somebody's word: `source:<name>`, `sink:<name>`, `target:<route>/<target>`.
    """

    records: dict[str, Record] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def accept(self, event_id: str) -> bool:
        """Whether it is new."""
        if f"ev:{event_id}" in self.records:
            return False
        self._add(Record("ev", event_id, "accepted"))
        return True

    def take(self, record: Record, *, current: bool, alone: bool) -> Taking:
        """current: whether the wake-up is the newest."""
        if record.final or not current or record.held or self._stopped(record):
            return "not now"
        record.crashes += record.state == WORKING[record.kind]
        if record.crashes >= SUSPECT and not alone:
            record.state = RESTING[record.kind]
            return "alone"
        record.state, record.held = WORKING[record.kind], True
        record.token += 1
        return "taken"

    def plan(self, event: Record, deliveries: Sequence[Delivery]) -> str:
        """The state the event ends in."""
        for one in deliveries:
            if f"dl:{one.id}" not in self.records:
                self._add(Record("dl", one.id, "waiting", one))
        self.finish(event, "planned" if deliveries else "unmatched")
        return event.state

    def checkpoint(self, record: Record, offset: int) -> None:
        record.offset, record.crashes = offset, 0

    def hand_back(self, record: Record, attempt: int, wait: float) -> None:
        record.state, record.held, record.attempt = RESTING[record.kind], False, attempt
        record.waits, record.lost = wait > 0, False
        if record.kind != "dl":
            record.crashes = 0

    def sweep(self, overdue: Sequence[str]) -> None:
        for member in overdue:
            self.records[member].waits = self.records[member].lost = False

    def finish(self, record: Record, state: str) -> None:
        record.state, record.held = state, False

    def die(self, record: Record) -> None:
        """The holder ends without a word, and its lease runs out."""
        record.held = False

    def retry(self, record: Record, *, same: bool) -> Outcome:
        """same: whether it is the death that was looked at."""
        if record.state != "dead" or not same:
            return Outcome.CHANGED
        if record.delivery and any(
            other.target == record.delivery.target and other.generation > record.delivery.generation
            for other in self.deliveries()
        ):
            return Outcome.SUPERSEDED
        record.state, record.crashes, record.attempt = RESTING[record.kind], 0, 0
        record.waits = record.lost = False
        return Outcome.DONE

    def drop(self, record: Record, *, same: bool) -> Outcome:
        if record.state != "dead" or not same:
            return Outcome.CHANGED
        record.state = "dropped"
        return Outcome.DONE

    def replay(self, again: Delivery) -> Outcome:
        if any(not one.final for one in self.records.values() if one.delivery and one.delivery.target == again.target):
            return Outcome.UNDER_WAY
        if f"dl:{again.id}" in self.records:
            return Outcome.KNOWN
        self._add(Record("dl", again.id, "waiting", again))
        return Outcome.MADE

    def deliveries(self) -> list[Delivery]:
        return [record.delivery for record in self.records.values() if record.delivery]

    def _add(self, record: Record) -> None:
        self.records[record.member] = record

    def _stopped(self, record: Record) -> bool:
        names = {"source:apify"}
        if record.delivery:
            names |= {f"sink:{record.delivery.sink}", f"target:{record.delivery.route}/{record.delivery.target}"}
        return not names.isdisjoint(self.paused)
