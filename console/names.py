"""Finding a source, a sink or a target by the name a person gives it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from config.nearest import guess
from config.routes import RouteTable
from console.failures import CommandFailed
from workers.ledger.standing import Standing

Kind = Literal["source", "sink", "target"]


@dataclass(frozen=True)
class Names:
    """What runrelay.yaml names, and what only the ledger knows: what is held, and where work of an older file leads.

    Attributes:
        known: by kind; a target is `<route>/<target>`.
        sinks: of the targets of the file.
        whole: whether the file could be read.
    """

    known: Mapping[Kind, frozenset[str]]
    sinks: Mapping[str, str]
    whole: bool

    def full(self, kind: Kind, said: str) -> str:
        """The whole name. Raises CommandFailed: nothing is called so, or several targets are."""
        known = self.known[kind]
        if said in known:
            return said
        fitting = sorted(name for name in known if kind == "target" and name.endswith(f"/{said}"))
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise CommandFailed("ambiguous", f"several routes have a target {said!r}: say {' or '.join(fitting)}")
        bare = {name.rpartition("/")[2] for name in known} if "/" not in said else set[str]()
        others = f"{guess(said, known | bare)}known are {', '.join(sorted(known)) or 'none'}"
        unread = "" if self.whole else "; runrelay.yaml cannot be used now, so these are those of open work only"
        raise CommandFailed("not_found", f"there is no {kind} {said!r}: {others}{unread}")


def names_of(table: RouteTable | None, standing: Standing) -> Names:
    """table: None if the file cannot be used."""
    sinks = _targets(table) if table else {}
    held = {kind: {one.name for one in standing.paused if one.kind == kind} for kind in ("source", "sink", "target")}
    places = {"/".join(place) for place in standing.oldest}
    known: dict[Kind, Iterable[str]] = {
        "source": held["source"] | set(table.sources if table else ()),
        "sink": held["sink"] | set(table.sinks if table else ()),
        "target": held["target"] | places | sinks.keys(),
    }
    return Names({kind: frozenset(names) for kind, names in known.items()}, sinks, table is not None)


def _targets(table: RouteTable) -> dict[str, str]:
    routes = (*table.routes, *((table.unmatched,) if table.unmatched else ()))
    return {f"{route.name}/{target.name}": target.sink for route in routes for target in route.targets}
