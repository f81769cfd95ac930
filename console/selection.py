"""Which events, deliveries and runs are meant: the selectors that `dlq`, `replay` and `backfill` share."""

from dataclasses import dataclass, field

from config.contracts.old_runs import Places
from config.contracts.run import Run
from config.route import When
from workers.ledger.ledger import Ledger
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord
from workers.routing.match import holds


@dataclass(frozen=True)
class Selection:
    """All lines must hold; an empty one always does.

    Attributes:
        places: route, target and sink; only deliveries lead to one.
        reason: why it ended.
        when: source, Actor, task and status of the run, with `*` for any text.
        since, until: when it ended, in ms since 1970.
    """

    places: Places = field(default_factory=Places)
    reason: str = ""
    when: When = field(default_factory=When)
    since: int | None = None
    until: int | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing was said."""
        return self == Selection()

    async def wants(self, ledger: Ledger, one: EventRecord | DeliveryRecord | AfterRecord) -> bool:
        if not (self._in_time(one.ended) and self.reason in {"", one.reason} and self._leads(one)):
            return False
        return self.when == When() or holds(self.when, await _run_of(ledger, one))

    def wants_run(self, run: Run) -> bool:
        """Of a run that has ended, its names known as far as `when` mentions them."""
        return self._in_time(round(run.finished * 1000)) and holds(self.when, run)

    def _in_time(self, ended: int) -> bool:
        return (self.since is None or ended >= self.since) and (self.until is None or ended < self.until)

    def _leads(self, one: EventRecord | DeliveryRecord | AfterRecord) -> bool:
        if not isinstance(one, DeliveryRecord):
            return self.places == Places()
        return self.places.hold(one.delivery.route, one.delivery.target, one.delivery.sink)


async def _run_of(ledger: Ledger, one: EventRecord | DeliveryRecord | AfterRecord) -> Run:
    match one:
        case EventRecord():
            return one.run or _unknown(one.source, one.run_id)
        case DeliveryRecord():
            event = await ledger.event(one.delivery.event_id)
            return event.run if event and event.run else _unknown(one.delivery.source, one.delivery.run_id)
        case AfterRecord():
            events, _ = await ledger.of_run(one.after.source, one.after.run_id)
            known = (event.run for event in events if event.run and event.run.life == one.after.life)
            return next(known, _unknown(one.after.source, one.after.run_id))


def _unknown(source: str, run_id: str) -> Run:
    """A run of which nothing was fetched: it fits no Actor and no status."""
    return Run(id=run_id, source=source, status="", terminal=False, life="", finished=0.0, account="")
