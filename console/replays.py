"""What a replay would make: for each target of a run its newest delivery once more; and what no route had wanted."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.event import EventState
from config.effects import acts
from config.route import GATE, UNMATCHED, Route, Target
from config.routes import RouteTable
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome, next_generation, replay
from workers.ledger.records import DeliveryRecord, EventRecord
from workers.planner import delivery_of, sha_of

_FAILED = frozenset({DeliveryState.PARTIAL, DeliveryState.DEAD})
_ENDED = _FAILED | {DeliveryState.DELIVERED}
_PAGE = 200

T = TypeVar("T", Route, Target)
Wanted = Callable[[DeliveryRecord], Awaitable[bool]]


@dataclass(frozen=True)
class Candidate:
    """A delivery that may be made again.

    Attributes:
        old: the newest delivery of one finish of the run to one target.
        new: what is made of it.
        sink_type: what `type:` of its sink says; empty if that is no longer kept.
        why_not: why it is left out, as a word and for people; None if it is not.
        documents: sha → the route of `new`, where it is not that of `old`.
    """

    old: DeliveryRecord
    new: Delivery
    sink_type: str
    why_not: tuple[str, str] | None
    documents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Anew:
    """An event that no route wanted, to be planned anew. `why_not` as above."""

    event: EventRecord
    why_not: tuple[str, str] | None = None


@dataclass(frozen=True)
class Manner:
    """How it is done.

    Attributes:
        effects: also for sinks that make something happen.
        now: the routes of today, to take those of the same name; None: those it was planned with.
    """

    effects: bool
    now: RouteTable | None


def failed(one: DeliveryRecord) -> bool:
    """Whether it ended without all of its rows at the target."""
    return one.state in _FAILED


async def runs_of(ledger: Ledger, wanted: Wanted) -> list[tuple[str, str]]:
    """(source, run) of every delivery that is wanted, oldest first."""
    found: dict[tuple[str, str], None] = {}
    async for id in _members(ledger, ledger.keys.deliveries):
        one = await ledger.delivery(id)
        if one and await wanted(one):
            found[one.delivery.source, one.delivery.run_id] = None
    return list(found)


async def unmatched(ledger: Ledger, wanted: Callable[[EventRecord], Awaitable[bool]]) -> AsyncIterator[EventRecord]:
    """Every event that is wanted and no route wanted, without its body, oldest first."""
    async for id in _members(ledger, ledger.keys.events):
        event = await ledger.event(id)
        if event and event.state is EventState.UNMATCHED and await wanted(event):
            yield msgspec.structs.replace(event, body=b"")


async def _members(ledger: Ledger, key: str) -> AsyncIterator[str]:
    begin = 0
    while ids := await ledger.redis.zrange(key, begin, begin + _PAGE - 1):
        begin += _PAGE
        for raw in ids:
            yield raw.decode()


async def candidates(
    ledger: Ledger, source: str, run_id: str, wanted: Wanted, manner: Manner
) -> AsyncIterator[Candidate]:
    """What is wanted of one run."""
    events, deliveries = await ledger.of_run(source, run_id)
    under_way = {_place(one) for one in deliveries if not one.state.final}
    for one in _newest(deliveries):
        if await wanted(one) and not _has_looked(one):
            again = _as_now(one, events, manner.now) if manner.now else await _as_then(ledger, one)
            why_not = (
                _gate(one)
                or again.why_not
                or _why_not(one, again.sink_type, busy=_place(one) in under_way, manner=manner)
            )
            yield Candidate(one, again.new, again.sink_type, why_not, again.documents)


async def make(ledger: Ledger, chosen: Sequence[Candidate]) -> list[Outcome]:
    """Make the deliveries of one run; one outcome each."""
    place = chosen[0].old.delivery
    documents = {sha: document for each in chosen for sha, document in each.documents.items()}
    return await replay(ledger, place.source, place.run_id, [each.new for each in chosen], documents)


def _newest(deliveries: Iterable[DeliveryRecord]) -> list[DeliveryRecord]:
    """Of each finish and target the highest generation, in the order of finishing."""
    newest: dict[tuple[str, str, str], DeliveryRecord] = {}
    for one in sorted(deliveries, key=lambda one: (one.delivery.life, one.delivery.generation)):
        newest[one.delivery.life, one.delivery.route, one.delivery.target] = one
    return list(newest.values())


def _has_looked(one: DeliveryRecord) -> bool:
    """Whether it is a gate that has said what it had to say."""
    return one.delivery.target == GATE and one.state is DeliveryState.DELIVERED


def _gate(one: DeliveryRecord) -> tuple[str, str] | None:
    if one.delivery.target == GATE:
        return "gate", "it only looks whether the run is as expected: `runrelay dlq retry` if it is a dead letter"
    return None


def _place(one: DeliveryRecord) -> tuple[str, str]:
    return one.delivery.route, one.delivery.target


def _why_not(one: DeliveryRecord, kind: str, *, busy: bool, manner: Manner) -> tuple[str, str] | None:
    if one.state is DeliveryState.QUARANTINED:
        return "quarantined", "it is held: `runrelay quarantine release` lets it go"
    if busy:
        return "under_way", "a delivery of the run is on its way to the same target"
    if one.state not in _ENDED:
        return one.state.value, "it was given up"
    if not kind:
        return "config_gone", "the route it was planned with is no longer kept; `--using now` takes today's"
    if acts(kind) and not manner.effects:
        return "effects", f"a sink of type {kind} would act once more: --include-effects if that is meant"
    return None


async def _as_then(ledger: Ledger, one: DeliveryRecord) -> Candidate:
    """With the route it was planned with."""
    document = await ledger.document(one.delivery.cfg)
    sink = json.loads(document).get("sinks", {}).get(one.delivery.sink, {}) if document else {}
    kind = str(sink.get("type", one.delivery.sink)).rpartition(".")[2] if document else ""
    return Candidate(one, next_generation(one.delivery), kind, None)


def _as_now(one: DeliveryRecord, events: Iterable[EventRecord], table: RouteTable) -> Candidate:
    """With the route and the target that have the same names now."""
    place, next_one = one.delivery, next_generation(one.delivery)

    def gone(what: str) -> Candidate:
        return Candidate(one, next_one, "", ("config_gone", what))

    route = table.unmatched if place.route == UNMATCHED else _named(table.routes, place.route)
    if route is None:
        return gone(f"the file has no route {place.route!r} any more")
    target = _named(route.targets, place.target)
    if target is None:
        return gone(f"the route {place.route!r} has no target {place.target!r} any more")
    run = next((event.run for event in events if event.run and event.run.life == place.life), None)
    if run is None:
        return gone("what the run was like is no longer kept")
    document = table.document(route)
    sha = sha_of(document)
    new = delivery_of(place.event_id, run, route, target, cfg=sha, generation=next_one.generation)
    return Candidate(one, new, table.sinks[target.sink].type.rpartition(".")[2], None, {sha: document})


def _named(ones: Iterable[T], name: str) -> T | None:
    return next((one for one in ones if one.name == name), None)
