"""runrelay.yaml → RouteTable. A file with any mistake loads nothing, and says all its mistakes at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import doubts
from config.assembly import Assembly
from config.cases import Case, cases
from config.checking import Checker
from config.contracts.problem import Problem
from config.contracts.source import Source
from config.document import Document, KeyPath, read
from config.environment import Environment
from config.footprint import footprint
from config.include import whole
from config.route import UNMATCHED, Alerts, Route, SinkSpec, SourceSpec
from config.shapes import FileShape


@dataclass(frozen=True, slots=True)
class RestoredRoute:
    """A route as a delivery was planned with it, and the sinks it uses."""

    route: Route
    sinks: dict[str, SinkSpec]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything one runrelay.yaml says.

    Attributes:
        file: the one it was read from.
        sources, sinks: by name, in file order.
        declared: the same sources as the file says them.
        routes: in file order, which is the order of matching.
        unmatched: takes the runs that no route wants; None if the file has no such block.
        alerts: who is told when something needs a person; None if the file has no such block.
        history_seconds: how long delivered work is remembered.
        cases: the file's own tests. Whoever goes by the file runs them first.
        warnings: what is allowed but probably not meant.
        secrets: values that must never be shown: those of secret options, whole and as filled in.
        environment: what `${…}` was filled from.
    """

    file: Path
    sources: dict[str, Source]
    declared: dict[str, SourceSpec]
    sinks: dict[str, SinkSpec]
    routes: tuple[Route, ...]
    unmatched: Route | None
    alerts: Alerts | None
    history_seconds: float
    cases: tuple[Case, ...]
    warnings: tuple[Problem, ...]
    secrets: frozenset[str] = field(repr=False)
    environment: Environment = field(repr=False)
    documents: Mapping[str, bytes] = field(repr=False)

    def document(self, route: Route) -> bytes:
        """Canonical JSON of the route with its sinks and the defaults, `${…}` unfilled: equal meaning, equal bytes."""
        return self.documents[route.name]

    def restore(self, document: bytes) -> RestoredRoute:
        """`restore` with this table's environment."""
        return restore(document, self.environment)


def load(path: Path, environ: Mapping[str, str] | Environment | None = None) -> RouteTable:
    """Read a routes file; `environ` stands in for the process's environment, or for that and the `.env`.

    Raises ConfigInvalid with every problem, in file order.
    """
    environment = environ if isinstance(environ, Environment) else Environment.beside(path, environ)
    environment.looked_at[path] = footprint(path)
    document = whole(read(path), path, environment)
    check = Checker(document, environment)
    check.model(FileShape, (), check.value(()))
    assembly = Assembly(check)
    sources, sinks = assembly.sources(), assembly.sinks()
    routes, unmatched = assembly.routes(), assembly.unmatched((UNMATCHED,))
    alerts = assembly.alerts(("alerts",))
    tests = cases(check, sources, routes, unmatched)
    check.finish()
    doubts.no_run_gets_here(check, routes)
    doubts.no_run_has(check, sources)
    doubts.nobody_signs(check, sources)
    doubts.nothing_there(check, routes, sources)
    doubts.always_changed(check, routes)
    doubts.same_place(check, routes, sources)
    doubts.nobody_is_told(check, routes, alerts)
    doubts.nobody_uses(check, (*routes, *((unmatched,) if unmatched else ())), alerts, sinks)
    return RouteTable(
        file=path,
        sources=sources,
        declared=assembly.declared,
        sinks=sinks,
        routes=routes,
        unmatched=unmatched,
        alerts=alerts,
        history_seconds=assembly.defaults.history.keep,
        cases=tests,
        warnings=tuple(check.warnings),
        secrets=frozenset(check.secrets),
        environment=environment,
        documents=_documents(document, routes, unmatched),
    )


def restore(document: bytes, environ: Mapping[str, str] | Environment | None = None) -> RestoredRoute:
    """The route of a document, with `${…}` filled from `environ`; by default from the process's environment as it is
    now and a `.env` in the working folder.

    Raises ConfigInvalid if a variable, a plugin or an option it was planned with is gone.
    """
    if environ is None:
        environ = Environment.beside(Path("runrelay.yaml"))
    elif not isinstance(environ, Environment):
        environ = Environment(environ)
    check = Checker(Document("", json.loads(document)), environ)
    assembly = Assembly(check)
    sinks = assembly.sinks()
    path: KeyPath = ("route",)
    route = assembly.route(path) if "name" in check.block(path) else assembly.unmatched(path)
    check.finish()
    assert route is not None, "a route without problems is a route"
    return RestoredRoute(route, sinks)


def _documents(document: Document, routes: tuple[Route, ...], unmatched: Route | None) -> dict[str, bytes]:
    found = {route.name: _canonical(document, route, ("routes", index)) for index, route in enumerate(routes)}
    if unmatched:
        found[UNMATCHED] = _canonical(document, unmatched, (UNMATCHED,))
    return found


def _canonical(document: Document, route: Route, path: KeyPath) -> bytes:
    used = {target.sink for target in route.targets}
    said: dict[str, Any] = {
        "version": document.at(("version",)),
        "defaults": document.at(("defaults",)) or {},
        "sinks": {name: sink for name, sink in document.at(("sinks",)).items() if name in used},
        "route": document.at(path),
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
