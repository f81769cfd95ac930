"""Which routes want a run. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from config.contracts.run import Run
from config.route import Route, Target, When


def matching(routes: Iterable[Route], run: Run) -> Iterator[tuple[Route, tuple[Target, ...]]]:
    """Every route that wants the run, with those of its targets that do; a `final` route ends the list.

    A final route ends the list also when all of its targets decline.
    """
    for route in routes:
        if not holds(route.when, run):
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
    return when.not_ is None or not holds(when.not_, run)


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
