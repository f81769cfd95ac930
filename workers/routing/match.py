"""Which routes want a run. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any

from config.contracts.errors import Permanent
from config.contracts.run import Run
from config.language.expression import Expression
from config.route import Route, Target, When


def matching(
    routes: Iterable[Route], run: Run, scope: Mapping[str, Any] | None
) -> Iterator[tuple[Route, tuple[Target, ...]]]:
    """Every route that wants the run, with those of its targets that do; a `final` route ends the list.

    A final route ends the list also when all of its targets decline.

    scope: the names that `where` of a route may use; None if too little is known of the run: then it holds.
    """
    for route in routes:
        if not holds(route.when, run) or not _true(route.where, scope):
            continue
        targets = tuple(target for target in route.to if target.when is None or holds(target.when, run))
        if targets:
            yield route, targets
        if route.final:
            return


def holds(when: When, run: Run) -> bool:
    """All lines must hold. A name we could not learn fits neither a pattern nor a `not:`."""
    lines = (
        (when.source, (run.source,)),
        (when.actor, _known(run.actor, run.actor_id)),
        (when.task, _known(run.task, run.task_id)),
        (when.build, tuple(value for value in (run.build, *run.tags) if value)),
        (when.schedule, tuple(value for value in (run.schedule, run.schedule_id) if value)),
        (when.status, (run.status,)),
        (when.origin, (run.origin,)),
    )
    if not all(_any_fits(patterns, values) for patterns, values in lines if patterns):
        return False
    if not _costs(when, run.cost):
        return False
    return when.not_ is None or not holds(when.not_, run)


def _costs(when: When, cost: float | None) -> bool:
    """What nobody knows fits no bound."""
    if when.min_usd is None and when.max_usd is None:
        return True
    return cost is not None and (when.min_usd or 0) <= cost <= (inf if when.max_usd is None else when.max_usd)


def _true(where: Expression | None, scope: Mapping[str, Any] | None) -> bool:
    """Types that do not fit are no match."""
    try:
        return where is None or scope is None or bool(where.value(scope))
    except Permanent:
        return False


def wants_key(patterns: Sequence[str], key: str, *, ordinary: bool) -> bool:
    """Whether a record is read. `*` alone stands for the ordinary ones; a pattern that says more means what it says."""
    return any(ordinary if pattern == "*" else _pattern(pattern).match(key) for pattern in patterns)


def _known(name: str, ident: str) -> tuple[str, ...]:
    """What a program may be called in the file: `owner/name`, as the API writes it (`owner~name`), or its id."""
    return tuple(value for value in (name, name.replace("/", "~"), ident) if value)


def _any_fits(patterns: Sequence[str], values: Sequence[str]) -> bool:
    return any(_pattern(pattern).match(value) for pattern in patterns for value in values)


@lru_cache(maxsize=4096)
def _pattern(written: str) -> re.Pattern[str]:
    """`*` stands for any text; everything else stands for itself."""
    return re.compile(".*".join(re.escape(part) for part in written.split("*")) + r"\Z", re.DOTALL)
