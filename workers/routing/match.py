"""Which routes want a run, and which line of the others says no. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

from config.contracts.errors import Permanent
from config.contracts.run import Run
from config.language.expression import Expression
from config.route import Route, Target, When


class Facts(NamedTuple):
    """What a run may be chosen by, each in all the words that the file may use for it. What is not known is empty."""

    source: tuple[str, ...]
    actor: tuple[str, ...]
    task: tuple[str, ...]
    build: tuple[str, ...]
    schedule: tuple[str, ...]
    status: tuple[str, ...]
    origin: tuple[str, ...]
    cost: float | None


class AnyOf:
    """`status: [SUCCEEDED, TIMED-*]`"""

    __slots__ = ("_exact", "_place", "_wild", "key", "written")

    def __init__(self, key: str, written: tuple[str, ...]) -> None:
        self.key, self.written = key, written
        self._place = Facts._fields.index(key)
        self._exact = frozenset(written)
        wild = [_source(pattern) for pattern in written if "*" in pattern]
        self._wild = re.compile("|".join(wild), re.DOTALL) if wild else None

    def holds(self, facts: Facts) -> bool:
        values: tuple[str, ...] = facts[self._place]  # type: ignore[assignment]  # the place of a field of texts
        if not self._exact.isdisjoint(values):
            return True
        return self._wild is not None and any(map(self._wild.match, values))


class Cost:
    """`cost: {min_usd: 1}`; what nobody knows fits no bound."""

    __slots__ = ("least", "most")
    key = "cost"

    def __init__(self, least: float | None, most: float | None) -> None:
        self.least, self.most = least, most

    def holds(self, facts: Facts) -> bool:
        return facts.cost is not None and (self.least or 0) <= facts.cost <= (inf if self.most is None else self.most)


class Not:
    """`not: {origin: TEST}`"""

    __slots__ = ("lines",)
    key = "not"

    def __init__(self, lines: "tuple[WhenLine, ...]") -> None:
        self.lines = lines

    def holds(self, facts: Facts) -> bool:
        return not all(line.holds(facts) for line in self.lines)


class Where:
    """`where: run.usageTotalUsd > 1`"""

    __slots__ = ("expression",)
    key = "where"

    def __init__(self, expression: Expression) -> None:
        self.expression = expression


#: One line of a `when`; `key` is what it begins with.
WhenLine = AnyOf | Cost | Not
#: A route, the first line of it that does not hold, and those of its targets that want the run.
Look = tuple[Route, WhenLine | Where | None, tuple[Target, ...]]


def matching(
    routes: Iterable[Route], run: Run, scope: Mapping[str, Any] | None
) -> Iterator[tuple[Route, tuple[Target, ...]]]:
    """Every route that wants the run, with those of its targets that do; a `final` route ends the list.

    A final route ends the list also when all of its targets decline.

    scope: the names that `where` of a route may use; None if too little is known of the run: then it holds.
    """
    return ((route, targets) for route, _, targets in looks(routes, run, scope) if targets)


def looks(routes: Iterable[Route], run: Run, scope: Mapping[str, Any] | None) -> Iterator[Look]:
    """Every route as far as they are looked at."""
    facts = facts_of(run)
    for route in routes:
        missed: WhenLine | Where | None = misfit(route.when, facts)
        if missed is None and route.where is not None and not _true(route.where, scope):
            missed = Where(route.where)
        if missed is not None:
            yield route, missed, ()
            continue
        yield route, None, tuple(one for one in route.to if one.when is None or misfit(one.when, facts) is None)
        if route.final:
            return


def holds(when: When, run: Run) -> bool:
    """All lines must hold. A name we could not learn fits neither a pattern nor a `not:`."""
    return misfit(when, facts_of(run)) is None


def misfit(when: When, facts: Facts) -> WhenLine | None:
    """The first line that does not hold; None if all do."""
    for line in _lines(when):
        if not line.holds(facts):
            return line
    return None


def facts_of(run: Run) -> Facts:
    return Facts(
        source=(run.source,),
        actor=_known(run.actor, run.actor_id),
        task=_known(run.task, run.task_id),
        build=tuple(value for value in (run.build, *run.tags) if value),
        schedule=tuple(value for value in (run.schedule, run.schedule_id) if value),
        status=(run.status,),
        origin=(run.origin,),
        cost=run.cost,
    )


#: By its id, a `when` and its lines: to hash one takes longer than to ask it.
_kept: dict[int, tuple[When, tuple[WhenLine, ...]]] = {}
_MOST_KEPT = 20_000


def _lines(when: When) -> tuple[WhenLine, ...]:
    found = _kept.get(id(when))
    if found is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        found = _kept[id(when)] = (when, tuple(_made(when)))  # as long as it is kept, nothing else has its id
    return found[1]


def _made(when: When) -> Iterator[WhenLine]:
    for key in Facts._fields[:-1]:
        if written := getattr(when, key):
            yield AnyOf(key, written)
    if when.min_usd is not None or when.max_usd is not None:
        yield Cost(when.min_usd, when.max_usd)
    if when.not_ is not None:
        yield Not(tuple(_made(when.not_)))


def _true(where: Expression, scope: Mapping[str, Any] | None) -> bool:
    """Types that do not fit are no match."""
    try:
        return scope is None or bool(where.value(scope))
    except Permanent:
        return False


def wants_key(patterns: Sequence[str], key: str, *, ordinary: bool) -> bool:
    """Whether a record is read. `*` alone stands for the ordinary ones; a pattern that says more means what it says."""
    return any(ordinary if pattern == "*" else _pattern(pattern).match(key) for pattern in patterns)


def _known(name: str, ident: str) -> tuple[str, ...]:
    """What a program may be called in the file: `owner/name`, as the API writes it (`owner~name`), or its id."""
    return tuple(value for value in (name, name.replace("/", "~"), ident) if value)


@lru_cache(maxsize=4096)
def _pattern(written: str) -> re.Pattern[str]:
    return re.compile(_source(written), re.DOTALL)


def _source(written: str) -> str:
    """`*` stands for any text; everything else stands for itself."""
    return ".*".join(re.escape(part) for part in written.split("*")) + r"\Z"
