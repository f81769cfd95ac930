"""Planning: what an announcement leads to. The run is fetched with our own token; only that answer is believed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args

from config.contracts.after import After, after_id
from config.contracts.api import Api
from config.contracts.delivery import Delivery, delivery_id
from config.contracts.errors import Forbidden, NotFound, NotYet, Permanent, Transient
from config.contracts.event import EventState
from config.contracts.old_runs import places_of, without_effects
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Leftover, Source
from config.effects import acts
from config.meaning import as_rows
from config.route import GATE, Route, Target
from config.routes import RouteTable
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord, LeadsTo
from workers.names import Names, mentioned, uses_event
from workers.routing.match import holds, matching
from workers.routing.scope import scope_of

#: How often a run the platform does not know is asked for: a webhook can be faster than the platform's replicas.
GRACE = 4
#: Seconds between two looks at a run that goes on: soon at first, then ever less often.
SOONEST, LATEST = 2.0, 60.0
#: Routes that want a run, with those of their targets that do.
Wanted = list[tuple[Route, tuple[Target, ...]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What planning decided.

    Attributes:
        reason: why it leads nowhere; empty if it does.
        detail: what of the run nobody reads; empty if there is nothing.
        keep_body: whether something may use what the webhook said, also in a replay.
        documents: sha → the route as it was, for every `Delivery.cfg`.
        gated: id of a delivery that only looks at the run → what it leads to.
        after: what is deleted once everything is delivered; None: nothing.
    """

    state: EventState
    run: Run
    deliveries: tuple[Delivery, ...]
    documents: dict[str, bytes]
    gated: dict[str, LeadsTo] = field(default_factory=dict)
    after: After | None = None
    reason: str = ""
    detail: str = ""
    keep_body: bool = False

    @property
    def to_targets(self) -> tuple[Delivery, ...]:
        """What it leads to if the run is as its routes expect."""
        return tuple(one for each in self.deliveries for one in self.gated.get(each.id, LeadsTo((each,))).wanted)


async def make_plan(
    event: EventRecord, source: Source, api: Api, table: RouteTable, names: Names, ledger: Ledger
) -> Plan:
    """Raises NotYet (the run goes on, or cannot be found yet), Transient, Unauthorized, Permanent."""
    run = await _fetch(event, source, api, ledger)
    allowed = source.accounts or (await names.account(source, api),)
    if run.account not in allowed:
        raise Permanent(Reason.RUN_FOREIGN, "the run belongs to an account that is not under `accounts` of the source")
    if not run.terminal:
        age = (await ledger.now() - event.at) / 1000
        raise NotYet(Reason.NOT_TERMINAL, f"the run is {run.status}", wait=min(max(SOONEST, age / 4), LATEST))
    run = await names.named(source, api, run, mentioned(table))
    return plan_of(event, run, table, scope_of(source, run, event.body, event.via))


async def _fetch(event: EventRecord, source: Source, api: Api, ledger: Ledger) -> Run:
    try:
        return await source.run(api, event.run_id, event.body)
    except Forbidden as exc:
        raise Transient(Reason.RUN_FOREIGN, f"our token may not see the run ({exc.detail})") from exc
    except NotFound as exc:
        if await ledger.finished_delivery(event.source, event.run_id):
            raise Permanent(Reason.SUPERSEDED, "the run was delivered and is deleted by now") from exc
        if event.attempt >= GRACE:
            raise Permanent(
                Reason.RUN_NOT_FOUND, f"the platform does not know the run the webhook names ({exc.detail})"
            ) from exc
        raise Transient(Reason.RUN_NOT_FOUND, exc.detail) from exc


def plan_of(event: EventRecord, run: Run, table: RouteTable, scope: Mapping[str, Any]) -> Plan:
    """What a run leads to that has ended and whose names are known.

    scope: the names that expressions may use.
    """
    wanted = list(matching(table.routes, run, scope))
    state, reason = (EventState.PLANNED, "") if wanted else (EventState.UNMATCHED, Reason.NO_ROUTE.value)
    if not wanted and table.unmatched:
        wanted = [(table.unmatched, table.unmatched.to)]
    means = _meaning(event, table)
    meant = _meant(wanted, means)
    if wanted and not meant:
        reason = Reason.LEFT_OUT.value
    documents = {route.name: table.document(route) for route, _ in meant}
    begin, gated = list[Delivery](), dict[str, LeadsTo]()
    for route, targets in meant:
        make = partial(delivery_of, event.id, run, route, cfg=sha_of(documents[route.name]))
        if route.expect is None:
            begin += map(make, targets)
            continue
        gate = gate_of(event.id, run, route, sha_of(documents[route.name]))
        told = [one for one in route.expect.to if _wants(one, run) and means(route, one)]
        begin.append(gate)
        gated[gate.id] = LeadsTo(tuple(map(make, targets)), tuple(map(make, told)))
    return Plan(
        state=state,
        run=run,
        deliveries=tuple(begin),
        gated=gated,
        documents={sha_of(document): document for document in documents.values()},
        after=after_of(run, [route for route, _ in meant]) if _follows(event, wanted, meant) else None,
        reason=reason,
        detail=_unread(run, [route for route, _ in meant]),
        keep_body=uses_event(table, [route for route, _ in meant]),
    )


def _unread(run: Run, routes: Sequence[Route]) -> str:
    """A dataset with a name of its own that none of the routes reads was probably forgotten."""
    streams = {stream for route in routes for stream in _datasets(run, route)}
    known = {run.datasets.get(stream.removeprefix("items:")) for stream in streams}
    left = [f"`{alias}`" for alias, dataset in run.datasets.items() if alias != "default" and dataset not in known]
    return f"no route reads the dataset {', '.join(left)}" if routes and left else ""


def _wants(target: Target, run: Run) -> bool:
    return target.when is None or holds(target.when, run)


def _meaning(event: EventRecord, table: RouteTable) -> Callable[[Route, Target], bool]:
    """Every target is meant, unless somebody asked for an old run: then those they asked for."""
    places, harmless = places_of(event.via, event.body), without_effects(event.via)

    def means(route: Route, target: Target) -> bool:
        acting = acts(table.sinks[target.sink].type)
        return places.hold(route.name, target.name, target.sink) and not (harmless and acting)

    return means


def _meant(wanted: Wanted, means: Callable[[Route, Target], bool]) -> Wanted:
    meant = [(route, tuple(target for target in targets if means(route, target))) for route, targets in wanted]
    return [(route, targets) for route, targets in meant if targets]


def _follows(event: EventRecord, wanted: Wanted, meant: Wanted) -> bool:
    """Whether something may be deleted afterwards: never while a target lacks the run that it wants."""
    return meant == wanted and not without_effects(event.via)


def after_of(run: Run, routes: Sequence[Route]) -> After | None:
    """What is deleted once all that these routes want of a run is delivered; None: nothing. The run itself goes last:
    until then it says whether it has finished once more."""
    wanted = {what for route in routes for what in route.delete}
    if not wanted:
        return None
    order: tuple[Leftover, ...] = get_args(Leftover)
    delete = tuple(what for what in order if what in wanted)
    return After(
        id=after_id(run.source, run.id, run.life), source=run.source, run_id=run.id, life=run.life, delete=delete
    )


def gate_of(event_id: str, run: Run, route: Route, cfg: str) -> Delivery:
    """The delivery to nobody that sees whether a run is as its route expects."""
    return Delivery(
        id=delivery_id(run.source, run.id, run.life, route.name, GATE),
        event_id=event_id,
        source=run.source,
        run_id=run.id,
        life=run.life,
        route=route.name,
        target=GATE,
        sink="",
        cfg=cfg,
        streams=_datasets(run, route) if "items" in route.read.streams else (),
    )


def delivery_of(event_id: str, run: Run, route: Route, target: Target, *, cfg: str, generation: int = 0) -> Delivery:
    """The delivery of a run to one target, with the route as the document `cfg` has it."""
    return Delivery(
        id=delivery_id(run.source, run.id, run.life, route.name, target.name, generation),
        event_id=event_id,
        source=run.source,
        run_id=run.id,
        life=run.life,
        route=route.name,
        target=target.name,
        sink=target.sink,
        generation=generation,
        cfg=cfg,
        streams=_streams(run, route, target),
        turn=run.finished if target.only else 0.0,
    )


def _streams(run: Run, route: Route, target: Target) -> tuple[str, ...]:
    if target.send == "items":
        return _datasets(run, route)
    return (f"rows:{target.send}" if as_rows(target.send, target.transform) else target.send,)


def _datasets(run: Run, route: Route) -> tuple[str, ...]:
    return tuple(f"items:{alias}" for alias in _aliases(run, route.read.dataset or ("default",)))


def _aliases(run: Run, written: Sequence[str]) -> list[str]:
    """Aliases in the order written, each once; `*` stands for every dataset of the run. One the run lacks stays, so
    that its delivery says so."""
    named = [alias for one in written for alias in (_every(run.datasets) if one == "*" else (one,))]
    return list(dict.fromkeys(named))


def _every(datasets: Mapping[str, str]) -> list[str]:
    """Of each dataset the first alias that leads to it."""
    first: dict[str, str] = {}
    for alias, dataset in datasets.items():
        first.setdefault(dataset, alias)
    return list(first.values())


def sha_of(document: bytes) -> str:
    """What a route's document is kept under."""
    return hashlib.sha256(document).hexdigest()
