"""What a replay would make: for each target of a run its newest delivery once more."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from config.contracts.delivery import Delivery, DeliveryState
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome, next_generation, replay
from workers.ledger.records import DeliveryRecord

#: Sinks that do not keep results but make something happen.
EFFECTS = frozenset({"actor", "notify"})
_FAILED = frozenset({DeliveryState.PARTIAL, DeliveryState.DEAD})
_ENDED = _FAILED | {DeliveryState.DELIVERED}
_PAGE = 200

Wanted = Callable[[DeliveryRecord], Awaitable[bool]]


@dataclass(frozen=True)
class Candidate:
    """A delivery that may be made again.

    Attributes:
        old: the newest delivery of one finish of the run to one target.
        sink_type: what `type:` of the sink said when it was planned; empty if that is no longer kept.
        why_not: why it is left out, as a word and for people; None if it is not.
    """

    old: DeliveryRecord
    sink_type: str
    why_not: tuple[str, str] | None

    @property
    def new(self) -> Delivery:
        return next_generation(self.old.delivery)


def failed(one: DeliveryRecord) -> bool:
    """Whether it ended without all of its rows at the target."""
    return one.state in _FAILED


async def runs_of(ledger: Ledger, wanted: Wanted) -> list[tuple[str, str]]:
    """(source, run) of every delivery that is wanted, oldest first."""
    found: dict[tuple[str, str], None] = {}
    begin = 0
    while ids := await ledger.redis.zrange(ledger.keys.deliveries, begin, begin + _PAGE - 1):
        begin += _PAGE
        for raw in ids:
            one = await ledger.delivery(raw.decode())
            if one and await wanted(one):
                found[one.delivery.source, one.delivery.run_id] = None
    return list(found)


async def candidates(
    ledger: Ledger, source: str, run_id: str, wanted: Wanted, *, effects: bool
) -> AsyncIterator[Candidate]:
    """What is wanted of one run. `effects`: also sinks that make something happen."""
    _, deliveries = await ledger.of_run(source, run_id)
    under_way = {_place(one) for one in deliveries if not one.state.final}
    for one in _newest(deliveries):
        if await wanted(one):
            kind = await _sink_type(ledger, one.delivery)
            yield Candidate(one, kind, _why_not(one, kind, busy=_place(one) in under_way, effects=effects))


async def make(ledger: Ledger, chosen: list[Candidate]) -> list[Outcome]:
    """Make the deliveries of one run; one outcome each."""
    place = chosen[0].old.delivery
    return await replay(ledger, place.source, place.run_id, [each.new for each in chosen])


def _newest(deliveries: Iterable[DeliveryRecord]) -> list[DeliveryRecord]:
    """Of each finish and target the highest generation, in the order of finishing."""
    newest: dict[tuple[str, str, str], DeliveryRecord] = {}
    for one in sorted(deliveries, key=lambda one: (one.delivery.life, one.delivery.generation)):
        newest[one.delivery.life, one.delivery.route, one.delivery.target] = one
    return list(newest.values())


def _place(one: DeliveryRecord) -> tuple[str, str]:
    return one.delivery.route, one.delivery.target


def _why_not(one: DeliveryRecord, kind: str, *, busy: bool, effects: bool) -> tuple[str, str] | None:
    if busy:
        return "under_way", "a delivery of the run is on its way to the same target"
    if one.state not in _ENDED:
        return one.state.value, "it was given up"
    if not kind:
        return "config_gone", "the route it was planned with is no longer kept"
    if kind in EFFECTS and not effects:
        return "effects", f"a sink of type {kind} would act once more: --include-effects if that is meant"
    return None


async def _sink_type(ledger: Ledger, delivery: Delivery) -> str:
    """The last word of it: a sink's module may be named in full."""
    document = await ledger.document(delivery.cfg)
    if document is None:
        return ""
    sink = json.loads(document).get("sinks", {}).get(delivery.sink, {})
    return str(sink.get("type", delivery.sink)).rpartition(".")[2]
