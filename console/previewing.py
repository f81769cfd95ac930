"""`runrelay preview`: what a run would lead to, by the code that plans and words its deliveries, without any of it."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from config.contracts.api import Api
from config.contracts.delivery import Delivery
from config.contracts.document import Glimpse
from config.contracts.errors import Permanent
from config.contracts.event import EventState
from config.contracts.run import Run
from config.contracts.sink import Batch, Previewed, Shipment
from config.contracts.source import Source
from config.logs import masked
from config.nearest import guess
from config.route import Route, SinkSpec, Target
from config.routes import RouteTable
from console.failures import CommandFailed
from console.first_rows import FirstRows
from workers.ledger.records import EventRecord
from workers.names import NAMES, Names
from workers.planner import plan_of
from workers.routing.scope import scope_of

#: Characters of a line that are shown, and lines of one stream of one target.
LONGEST, MOST_LINES = 2000, 200


@dataclass(frozen=True)
class Preview:
    """One stream on its way to one target.

    Attributes:
        type: of the sink.
        read: how many items or records were looked at.
        dropped: how many of them the route or the target does not want; `rejected`: whose types did not fit.
        lines: what would be sent, in words.
        notes: what this does not show, or is probably not meant.
        problem: why the delivery would end; empty if it would not.
    """

    route: str
    target: str
    sink: str
    type: str
    stream: str
    read: int = 0
    dropped: int = 0
    rejected: int = 0
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Prospect:
    """What a run leads to.

    Attributes:
        matched: whether a route wants it; if not, what `unmatched` does with it is left.
        deliveries: without the ones that only look at the run.
    """

    run: Run
    matched: bool
    deliveries: tuple[Delivery, ...] = field(repr=False)
    scope: dict[str, Any] = field(repr=False)


async def prospect(source: Source, api: Api, table: RouteTable, run: Run) -> Prospect:
    """The plan that a worker would make of a run that nobody announced. Raises CommandFailed for a run that is none of
    ours, and the verdicts of the platform."""
    names = Names()
    accounts = source.accounts or (await names.account(source, api),)
    if run.account not in accounts:
        said = f"its account is {run.account}, ours {' or '.join(accounts)}"
        raise CommandFailed("run_foreign", f"run {run.id} would not be delivered: {said}; see `accounts` of the source")
    run = await names.named(source, api, run, NAMES)
    event = EventRecord(
        id="", state=EventState.ACCEPTED, source=run.source, run_id=run.id, kind="", via="", at=0, body=b""
    )
    scope = scope_of(source, run, b"", "")
    plan = plan_of(event, run, table, scope)
    return Prospect(run, plan.state is EventState.PLANNED, plan.to_targets, scope)


def narrowed(found: Prospect, table: RouteTable, route: str, target: str) -> Prospect:
    """Only what leads to this route and this target; empty: to any. `route/target` may stand for either. Raises
    CommandFailed for a name nobody has."""
    route, target = _apart(route, target)
    routes = {one.name: one for one in _routes(table)}
    _known("route", route, routes)
    _known("target", target, {to.name for one in routes.values() if route in {"", one.name} for to in one.to})
    kept = (one for one in found.deliveries if route in {"", one.route} and target in {"", one.target})
    return replace(found, deliveries=tuple(kept))


async def previews(found: Prospect, source: Source, api: Api, table: RouteTable, items: int) -> AsyncIterator[Preview]:
    """One for each stream of each target, in the order of the file. Writes nothing anywhere."""
    routes, first = {one.name: one for one in _routes(table)}, FirstRows(source, api, found.run, items)
    for delivery in found.deliveries:
        route = routes[delivery.route]
        target = next(one for one in route.to if one.name == delivery.target)
        for stream in delivery.streams:
            yield await _preview(found, delivery, stream, route, target, table.sinks[target.sink], first)


async def _preview(
    found: Prospect, delivery: Delivery, stream: str, route: Route, target: Target, spec: SinkSpec, first: FirstRows
) -> Preview:
    scope = {**found.scope, "route": route.name, "target": target.name, "dataset": stream.partition(":")[2]}
    shown = Preview(route.name, target.name, spec.name, spec.type, stream, notes=tuple(_notes(route, target)))
    try:
        rows = await first.of(stream, route, target, scope)
    except Permanent as no:
        return replace(shown, problem=_why(no))
    shipment = Shipment(delivery, stream, found.run, scope, target.options)
    lines, problem = list[str](), ""
    try:
        for line in islice((line for part in rows.parts for line in _lines(spec, shipment, part)), MOST_LINES + 1):
            lines.append(_short(line))
    except Permanent as no:
        problem = _why(no)
    except Exception as exc:  # somebody's sink: the others are shown all the same
        problem = f"its preview broke with {type(exc).__name__}: that is a bug of the sink"
    if len(lines) > MOST_LINES:
        lines[-1] = "…"
    return replace(
        shown,
        read=rows.read,
        dropped=rows.read - rows.left - len(rows.rejected),
        rejected=len(rows.rejected),
        lines=tuple(lines),
        notes=(*shown.notes, *rows.warnings, *(f"row {one.offset}: {one.why}" for one in rows.rejected)),
        problem=problem,
    )


def _lines(spec: SinkSpec, shipment: Shipment, part: Batch | Glimpse) -> Iterator[str]:
    """What the sink itself says, or else what it would be given."""
    if isinstance(spec.module, Previewed):
        yield from spec.module.preview(spec.config, shipment, part)
        return
    yield f"the sink `{spec.type}` does not say what it makes of this"
    if isinstance(part, Batch):
        yield from (item.decode(errors="replace") for item in part.items())
    else:
        yield f"{part.key} ({part.content_type}, {part.size} bytes)"


def _notes(route: Route, target: Target) -> Iterator[str]:
    if route.expect:
        yield "`expect` looks at the whole run before anything is sent: it was not asked here"
    if target.only:
        wanted = " or ".join(target.only.change)
        yield f"`only` sends what is {wanted} since the last delivery: nothing was compared here"
    if route.delete:
        yield f"`after` deletes {', '.join(route.delete)} at the platform once everything is delivered"


def _apart(route: str, target: str) -> tuple[str, str]:
    """The two, which may have been given as one."""
    before, _, after = (target or route).rpartition("/")
    if before and (not target or route in {"", before}):
        return before, after
    return route, target


def _routes(table: RouteTable) -> Iterable[Route]:
    return (*table.routes, *((table.unmatched,) if table.unmatched else ()))


def _known(kind: str, name: str, known: Iterable[str]) -> None:
    known = sorted(known)
    if name and name not in known:
        listed = f"{guess(name, known)}known are {', '.join(known) or 'none'}"
        raise CommandFailed("not_found", f"there is no {kind} {name!r}: {listed}")


def _why(no: Permanent) -> str:
    return f"{no.reason.value}: {no.detail}" if no.detail else no.reason.value


def _short(line: str) -> str:
    """Without secrets, and not too long: the end of a secret must not be what is cut off."""
    said = masked(line)
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
