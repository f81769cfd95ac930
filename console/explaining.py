"""`runrelay explain`: which routes want a run, and which line of the others says no; by the code that matches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from config.nearest import guess
from config.route import Route, Target
from config.routes import RouteTable
from console.failures import CommandFailed
from console.past_run import PastRun
from workers.ledger.records import DeliveryRecord
from workers.names import NAMES, mentioned
from workers.planner import sha_of
from workers.routing.match import facts_of, looks, misfit
from workers.routing.scope import scope_of
from workers.routing.why import Missed, missed


@dataclass(frozen=True)
class Place:
    """A target. `missed`: the line that keeps the run from it; None if it takes the run."""

    name: str
    sink: str
    missed: Missed | None


@dataclass(frozen=True)
class Explained:
    """What one route makes of a run.

    Attributes:
        asked: whether it is its turn: no route above it is final.
        gone: whether the file does not have it any more.
        missed: the first line that does not hold.
        places: its targets, if it takes the run.
        ends: whether no route below it is asked.
        deliveries: what became of it.
        older: whether they were planned with another version of the route.
    """

    route: str
    asked: bool = True
    gone: bool = False
    missed: Missed | None = None
    places: Sequence[Place] = ()
    ends: bool = False
    deliveries: Sequence[DeliveryRecord] = field(default=(), repr=False)
    older: bool = False

    @property
    def takes(self) -> bool:
        return any(place.missed is None for place in self.places)


def explained(past: PastRun, table: RouteTable) -> list[Explained]:
    """Every route in the order of the file, `unmatched` last, if it is needed."""
    scope = scope_of(past.source, past.run, past.body, past.via)
    found = {route.name: Explained(route.name, asked=False) for route in table.routes}
    for route, line, _ in looks(table.routes, past.run, scope):
        if line is not None:
            found[route.name] = Explained(route.name, missed=missed(line, past.run, scope))
        else:
            found[route.name] = Explained(route.name, places=_places(route, past), ends=route.final)
    if table.unmatched and not any(one.takes for one in found.values()):
        found[table.unmatched.name] = Explained(table.unmatched.name, places=_places(table.unmatched, past))
    return list(_with_deliveries(found, past, table))


def narrowed(found: Sequence[Explained], table: RouteTable, route: str) -> list[Explained]:
    """Only of this route; empty: of any. Raises CommandFailed for a name nobody has."""
    known = [one.name for one in (*table.routes, *((table.unmatched,) if table.unmatched else ()))]
    if route and route not in known:
        listed = f"{guess(route, known)}known are {', '.join(known)}"
        raise CommandFailed("not_found", f"there is no route {route!r}: {listed}")
    return [one for one in found if route in {"", one.route}]


def unknown_names(past: PastRun, table: RouteTable) -> list[str]:
    """What the file goes by, and the platform does not tell us: `actor`, `task`, `schedule`."""
    ids = {"actor": past.run.actor_id, "task": past.run.task_id, "schedule": past.run.schedule_id}
    named = {"actor": past.run.actor, "task": past.run.task, "schedule": past.run.schedule}
    return [name for name in sorted(NAMES & mentioned(table)) if ids.get(name) and not named.get(name)]


def _places(route: Route, past: PastRun) -> list[Place]:
    return [Place(target.name, target.sink, _declined(target, past)) for target in route.to]


def _declined(target: Target, past: PastRun) -> Missed | None:
    line = misfit(target.when, facts_of(past.run)) if target.when else None
    return missed(line, past.run, {}) if line else None


def _with_deliveries(found: dict[str, Explained], past: PastRun, table: RouteTable) -> Iterator[Explained]:
    """Also those of routes that the file does not have any more."""
    shas = {route.name: sha_of(table.document(route)) for route in (*table.routes, *_unmatched(table))}
    for name in dict.fromkeys((*found, *(one.delivery.route for one in past.deliveries))):
        own = [one for one in past.deliveries if one.delivery.route == name]
        one = found.get(name) or Explained(name, asked=False, gone=name not in shas)
        older = not one.gone and any(each.delivery.cfg != shas[name] for each in own)
        yield replace(one, deliveries=own, older=older)


def _unmatched(table: RouteTable) -> tuple[Route, ...]:
    return (table.unmatched,) if table.unmatched else ()
