"""The `tests:` of runrelay.yaml: each run that might be goes the way that a real one would, and leads nowhere.

Nothing is asked of Redis, of a platform or of a target. What somebody's own code (`transform:`) does, it does here too.
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec

from config.cases import Case
from config.contracts.errors import ConfigInvalid, Permanent
from config.contracts.event import EventState
from config.contracts.problem import Problem
from config.contracts.run import Run
from config.language.template import Template
from config.logs import masked
from config.route import GATE, UNMATCHED, Expect, Route, Target
from config.routes import RouteTable
from workers.ledger.records import EventRecord
from workers.planner import Plan, plan_of
from workers.routing.difference import Difference, differences, of_texts
from workers.routing.expect import count, objections
from workers.routing.made_up import MadeUp, Way
from workers.routing.match import facts_of, looks, misfit
from workers.routing.scope import scope_of
from workers.routing.why import missed

#: Of one test.
MOST_TOLD = 10
#: The keys below `expect` of a test, and what is not as they say.
Objection = tuple[tuple[str | int, ...], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test. It passed if there are no problems; their messages do not name it."""

    case: Case
    problems: tuple[Problem, ...]


def prove(table: RouteTable) -> None:
    """Raises ConfigInvalid with whatever the tests of a file object to."""
    if problems := [problem for outcome in rehearse(table) for problem in named(outcome)]:
        raise ConfigInvalid(problems)


def named(outcome: Outcome) -> list[Problem]:
    """The problems, each with the name of its test."""
    said = f"test {outcome.case.name!r}"
    return [replace(problem, message=f"{said}: {problem.message}") for problem in outcome.problems]


def rehearse(table: RouteTable, names: Collection[str] = ()) -> Iterator[Outcome]:
    """One test after the other, in file order; all of them, or those of these names."""
    for case in table.cases:
        if not names or case.name in names:
            yield Outcome(case, tuple(islice(_problems(table, case), MOST_TOLD)))


def _problems(table: RouteTable, case: Case) -> Iterator[Problem]:
    try:
        for below, said in Rehearsal(table, case).objections():
            yield case.problem(masked(said), *below)
    except Exception as exc:  # of a function of somebody's own, whatever it did
        yield case.problem(masked(f"it broke: {type(exc).__name__}: {exc}"))


class Rehearsal:
    """One test. What it objects to are pairs: the keys below its `expect`, and words."""

    def __init__(self, table: RouteTable, case: Case) -> None:
        self.table, self.expect = table, case.expect
        source, event = table.sources[case.source], case.given.event
        self.run = run_of(case)
        self.made_up = MadeUp(source, case.given)
        body = b"" if event is None else msgspec.json.encode(event)
        self.scope = scope_of(source, self.run, body, "")
        self.plan = _planned(table, self.run, self.scope, body)
        self.takers = list(dict.fromkeys(one.route for one in self.plan.deliveries if one.route != UNMATCHED))

    def objections(self) -> Iterator[Objection]:
        """Whatever is not as the test says."""
        yield from self._goes()
        if route := self._route():
            facts = yield from self._judged(route)
            for target in route.targets:
                yield from self._at(route, target, facts)

    def _goes(self) -> Iterator[Objection]:
        """Whether it goes to the routes that the test says."""
        taken, expect = self.takers, self.expect
        if expect.unmatched and taken:
            yield ("unmatched",), f"no route should take the run, and it goes to {_listed(taken)}"
        if expect.routes and taken != list(expect.routes):
            yield ("routes",), f"the run should go to {_listed(expect.routes)}, and goes {_whereto(taken)}"
        if expect.route and expect.route not in taken:
            yield ("route",), f"{self._why_not(expect.route)}; the run goes {_whereto(taken)}"

    def _why_not(self, name: str) -> str:
        for route, line, _ in looks(self.table.routes, self.run, self.scope):
            if route.name == name:
                why = missed(line, self.run, self.scope) if line else "none of its targets wants it"
                return f"`{name}` does not take the run: {why}"
        return f"`{name}` is not asked: a route above it is final"

    def _route(self) -> Route | None:
        """The one whose targets are looked at; None if it does not take the run."""
        if self.expect.unmatched:
            return None if self.takers else self.table.unmatched
        name = self.expect.route if self.expect.route in self.takers else None
        return next((one for one in self.table.routes if one.name == name), None)

    def _judged(self, route: Route) -> Generator[Objection, None, dict[str, Any]]:
        """Whether the run is as the route expects. Returns what templates know of that."""
        nothing = {"items_read": None, "held": None}
        try:
            read, items, held = self._read(route, {**self.scope, **nothing, "route": route.name, "target": GATE})
        except Permanent as no:
            yield ("route",), f"what `{route.name}` reads would end: {no}"
            return nothing
        yield from _held(self.expect.held, held)
        if self.expect.filtered not in {None, read - items}:
            said = f"{_items(self.expect.filtered or 0)}, and leaves out {read - items}"
            yield ("filtered",), f"`read` should leave out {said}"
        return {"items_read": items, "held": held or None} if route.expect else nothing

    def _read(self, route: Route, scope: Mapping[str, Any]) -> tuple[int, int, str]:
        """How many items fit their way, how many of them `read` yields, and why the run would be held; empty if it
        would not."""
        streams = dict.fromkeys(name for one in self.plan.deliveries if one.route == route.name for name in one.streams)
        read, tally, seen = 0, Counter[str](), dict[str, str]()
        for shaped, rows in self.made_up.yields(route.read, list(streams), scope):
            read += rows - len(shaped.rejected)
            counted = count(route.expect or Expect(), shaped.batch)
            tally.update(counted.tally)
            seen = {**counted.seen, **seen}
        said = objections(route.expect, self.run, tally, seen, ()) if route.expect else []
        return read, tally["items"], "; ".join(said)

    def _at(self, route: Route, target: Target, facts: Mapping[str, Any]) -> Iterator[Objection]:
        """Whether a target gets what the test says."""
        name, expect = target.name, self.expect
        way = Way(
            route,
            target,
            self._streams(route, target, facts),
            {**self.scope, **facts, "route": route.name, "target": name},
        )
        if name in expect.sent:
            yield from self._compared("sent", way, lambda: self._sent(way))
        if name in expect.paths:
            yield from self._compared("paths", way, lambda: self._paths(way))
        if name in expect.texts:
            yield from self._compared("texts", way, lambda: self._texts(way))

    def _compared(self, key: str, way: Way, compare: Callable[[], Iterator[Difference]]) -> Iterator[Objection]:
        name = way.target.name
        if not way.streams and not (key == "sent" and not self.expect.sent[name]):
            yield (key, name), f"`{name}` is sent nothing: {self._why_nothing(way)}"
            return
        try:
            found = list(compare())
        except Permanent as no:
            yield (key, name), f"the delivery to `{name}` would end: {no}"
            return
        yield from (((key, name, *below), f"`{name}`, {said}") for below, said in found)

    def _why_nothing(self, way: Way) -> str:
        target = way.target
        if target.when and (line := misfit(target.when, facts_of(self.run))):
            return str(missed(line, self.run, self.scope))
        return "it is told of runs that are held, and this one is not"

    def _streams(self, route: Route, target: Target, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """What goes to a target; nothing if it does not want the run, or is told only of one that is held."""
        told = [one for each in self.plan.gated.values() for one in each.told] if facts["held"] else []
        found = (one for one in (*self.plan.to_targets, *told) if (one.route, one.target) == (route.name, target.name))
        return next((one.streams for one in found), ())

    def _sent(self, way: Way) -> Iterator[Difference]:
        yield from differences(self.expect.sent[way.target.name], self.made_up.sent(way))

    def _paths(self, way: Way) -> Iterator[Difference]:
        expected, found = self.expect.paths[way.target.name], self.made_up.paths(way, _option(way.target, "path"))
        if sorted(expected) != sorted(found):
            yield (), f"the path should be {_listed(expected)}, and is {_listed(found)}"

    def _texts(self, way: Way) -> Iterator[Difference]:
        said = self.made_up.text(way, _option(way.target, "text"))
        if differs := of_texts(self.expect.texts[way.target.name], said):
            yield (), f"the text: {differs}"


def run_of(case: Case) -> Run:
    """The run that a test makes up."""
    told, given = case.given.run, case.given
    aliases = ["default", *given.datasets]
    return Run(
        id=told.id,
        source=case.source,
        status=case.status,
        terminal=True,
        life=told.finished,
        finished=told.ended,
        account="",
        cost=told.usage,
        origin=told.origin,
        actor=told.actor,
        task=told.task,
        build=told.build,
        tags=told.tags,
        schedule=told.schedule,
        datasets={alias: alias for alias in aliases},
        stores={"default": "default"},
        queues={"default": "default"},
        fields=told.fields(case.status),
    )


def _planned(table: RouteTable, run: Run, scope: Mapping[str, Any], body: bytes) -> Plan:
    event = EventRecord(
        id="", state=EventState.ACCEPTED, source=run.source, run_id=run.id, kind="", via="", at=0, body=body
    )
    return plan_of(event, run, table, scope)


def _held(expected: bool | str | None, held: str) -> Iterator[Objection]:
    match expected:
        case True if not held:
            yield ("held",), "the run should be held, and is as its route expects"
        case False if held:
            yield ("held",), f"the run should not be held, and is: {held}"
        case str() if not held:
            yield ("held",), f"the run should be held for {expected!r}, and is as its route expects"
        case str() if expected not in held:
            yield ("held",), f"the run should be held for {expected!r}, and is held for: {held}"


def _option(target: Target, name: str) -> Template:
    found = getattr(target.options, name)
    return found if isinstance(found, Template) else Template(str(found))


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _whereto(taken: Sequence[str]) -> str:
    return f"to {_listed(taken)}" if taken else "nowhere"
