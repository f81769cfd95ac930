"""Which events and deliveries are meant: the selectors that `dlq` and `replay` share."""

from dataclasses import dataclass, field

from config.contracts.run import Run
from config.route import When
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord
from workers.routing.match import holds


@dataclass(frozen=True)
class Selection:
    """All lines must hold; an empty one always does.

    Attributes:
        route, target, sink: names in runrelay.yaml; an event has none of them yet.
        reason: why it ended.
        when: source, actor and status of the run, with `*` for any text.
        since, until: when it ended, in ms since 1970.
    """

    route: str = ""
    target: str = ""
    sink: str = ""
    reason: str = ""
    when: When = field(default_factory=When)
    since: int | None = None
    until: int | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing was said."""
        return self == Selection()

    async def wants(self, ledger: Ledger, one: EventRecord | DeliveryRecord) -> bool:
        if not (self._in_time(one.ended) and self.reason in {"", one.reason}):
            return False
        return await self._wants_delivery(ledger, one) if isinstance(one, DeliveryRecord) else self._wants_event(one)

    def _in_time(self, ended: int) -> bool:
        return (self.since is None or ended >= self.since) and (self.until is None or ended < self.until)

    def _wants_event(self, event: EventRecord) -> bool:
        if self.route or self.target or self.sink:
            return False
        return holds(self.when, event.run or _unknown(event.source, event.run_id))

    async def _wants_delivery(self, ledger: Ledger, one: DeliveryRecord) -> bool:
        place = one.delivery
        lines = ((self.route, place.route), (self.target, place.target), (self.sink, place.sink))
        if not all(said in {"", has} for said, has in lines):
            return False
        if self.when == When():
            return True
        event = await ledger.event(place.event_id)
        return holds(self.when, event.run if event and event.run else _unknown(place.source, place.run_id))


def _unknown(source: str, run_id: str) -> Run:
    """A run of which nothing was fetched: it fits no Actor and no status."""
    return Run(id=run_id, source=source, status="", terminal=False, life="", finished=0.0, account="")
