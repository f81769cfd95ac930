"""Why a run does not fit a line of a route, in words. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from jinja2 import nodes

from config.contracts.errors import Permanent
from config.contracts.run import Run
from config.language.expression import Expression
from config.language.operators import key as below
from config.language.sandbox import dotted
from config.language.template import shortened
from workers.routing.match import AnyOf, Cost, Not, WhenLine, Where

#: Characters of a value that are shown.
SHOWN = 80


class Missed(NamedTuple):
    """A line that a run does not fit.

    Attributes:
        line: what it begins with: `actor`, `cost`, `not`, `where`.
        wanted: what stands in the file.
        seen: what the run has instead.
    """

    line: str
    wanted: str
    seen: str

    def __str__(self) -> str:
        return f"`{self.line}: {self.wanted}`, and {self.seen}"


def missed(line: WhenLine | Where, run: Run, scope: Mapping[str, Any]) -> Missed:
    """scope: the names that `where` may use."""
    match line:
        case Where():
            return Missed("where", line.expression.source, _judged(line.expression, scope))
        case Not():
            wanted = ", ".join(f"{each.key}: {_wanted(each)}" for each in line.lines)
            seen = " and ".join(f"its {each.key} is {seen_of(run, each.key)}" for each in line.lines)
            return Missed("not", f"{{{wanted}}}", seen or "every run fits that")
    return Missed(line.key, _wanted(line), f"its {line.key} is {seen_of(run, line.key)}")


def seen_of(run: Run, key: str) -> str:
    """What a run has of what `when` asks for."""
    match key:
        case "actor":
            return _named(run.actor, run.actor_id)
        case "task":
            return _named(run.task, run.task_id)
        case "schedule":
            return _named(run.schedule, run.schedule_id)
        case "build":
            return ", ".join(filter(None, (run.build, *run.tags))) or "unknown"
        case "cost":
            return "unknown" if run.cost is None else f"${run.cost:g}"
    return str(getattr(run, key)) or "unknown"


def _named(name: str, ident: str) -> str:
    if name:
        return name
    return f"{ident}, whose name we may not see" if ident else "none"


def _wanted(line: WhenLine) -> str:
    match line:
        case AnyOf():
            return line.written[0] if len(line.written) == 1 else f"[{', '.join(line.written)}]"
        case Cost():
            bounds = {"min_usd": line.least, "max_usd": line.most}
            said = (f"{name}: {bound:g}" for name, bound in bounds.items() if bound is not None)
            return f"{{{', '.join(said)}}}"
    return f"{{{', '.join(f'{each.key}: {_wanted(each)}' for each in line.lines)}}}"


def _judged(where: Expression, scope: Mapping[str, Any]) -> str:
    try:
        value = where.value(scope)
        said = "" if _is_path(where) else f"that is {shown(value)}"
    except Permanent as no:
        said = f"types do not fit ({no.detail.removeprefix(f'{shortened(where.source)}: ')})"
    values = dict.fromkeys(f"{'.'.join(path)} is {_at(path, scope)}" for path in _paths(where.node))
    return ": ".join(filter(None, (said, ", ".join(values))))


def _is_path(where: Expression) -> bool:
    return where.path is not None


def _paths(node: nodes.Node) -> Iterator[tuple[str, ...]]:
    """Each path that an expression uses, the longest ones."""
    if isinstance(node, nodes.Expr) and (path := dotted(node)):
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _paths(child)


def _at(path: tuple[str, ...], scope: Mapping[str, Any]) -> str:
    value: Any = scope
    for name in path:
        if isinstance(value, Mapping) and name not in value:
            return "missing"
        value = below(value, name)
    return shown(value)


def shown(value: Any) -> str:
    """As JSON, not too long."""
    written = msgspec.json.encode(value).decode(errors="replace")
    return written if len(written) <= SHOWN else f"{written[: SHOWN - 1]}…"
