"""What a file may say and hardly means: told as warnings, once nothing in it is wrong."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain

from jinja2 import nodes

from config.checking import Checker
from config.contracts.source import Inline, Source, Worded
from config.document import KeyPath
from config.language.expression import Expression
from config.language.sandbox import dotted
from config.language.template import Template
from config.nearest import guess
from config.route import UNMATCHED, Alerts, Route, SinkSpec, Target, Transform, When
from config.wire.bare import Bare

#: Of a run, what no two runs have in common; all that begins with `usage` or `default` besides.
_OF_ONE_RUN = frozenset({"id", "startedAt", "finishedAt", "stats", "console_url", "containerUrl"})
#: From so many sources on, ids of runs may come twice.
_SEVERAL = 2
_BEGINNINGS = ("usage", "default")


def no_run_gets_here(check: Checker, routes: tuple[Route, ...]) -> None:
    """A final route above takes all of them."""
    final: dict[tuple[When, Expression | None], str] = {}
    for index, route in enumerate(routes):
        as_wide = ((when, where) for when in (route.when, When()) for where in (route.where, None))
        if taker := next((final[wants] for wants in as_wide if wants in final), None):
            message = f"no run ever gets here: `{taker}` above is final and takes every run this route wants"
            check.warn(message, ("routes", index))
        if route.final:
            final.setdefault((route.when, route.where), route.name)


def nobody_uses(
    check: Checker, routes: tuple[Route, ...], alerts: Alerts | None, sinks: Mapping[str, SinkSpec]
) -> None:
    """routes: with what stands under `unmatched`."""
    used = {target.sink for route in routes for target in route.targets}
    used |= {target.sink for target in alerts.to} if alerts else set()
    for name in sinks:
        if name not in used:
            check.warn("no route uses this sink", ("sinks", name))


def nobody_is_told(check: Checker, routes: tuple[Route, ...], alerts: Alerts | None) -> None:
    """A route that is late is told as an alert, and only so."""
    for index, route in enumerate(routes):
        if route.freshness and alerts is None:
            check.warn("nobody is told when it is late: add `alerts:` to the file", ("routes", index, "freshness"))


def no_run_has(check: Checker, sources: Mapping[str, Source]) -> None:
    """Words that are none of the platform's, where every source that may be meant says which it has."""
    for when in _whens(check):
        meant = _meant(check, when, sources)
        worded = [source for source in meant if isinstance(source, Worded) and source.statuses]
        if len(worded) < len(meant):
            continue
        platforms = " or ".join(dict.fromkeys(source.platform for source in worded))
        statuses = set(chain.from_iterable(source.statuses for source in worded))
        origins = set(chain.from_iterable(source.origins for source in worded))
        for key, does, words in (("status", "ends", statuses), ("origin", "starts", origins)):
            for path, pattern in _patterns(check, (*when, key)) if words else ():
                if "*" not in pattern and pattern not in words:
                    known = sorted(words)
                    nearest = guess(pattern, reversed(known)).strip() or f"known are {', '.join(known)}"
                    check.warn(f"no run {does} like that at {platforms}: {nearest}", path)


def nobody_signs(check: Checker, sources: Mapping[str, Source]) -> None:
    """A secret shows who sent a webhook, as long as nobody else has seen it; a signature shows what was sent."""
    for name, source in sources.items():
        if isinstance(source, Inline) and source.unsigned:
            check.warn(
                "what its webhooks say is believed as it comes: anybody who has the secret, or sees it, can make up "
                "runs; a signature is safer (`verify`)",
                ("sources", name, "webhook"),
            )


def nothing_there(check: Checker, routes: tuple[Route, ...], sources: Mapping[str, Source]) -> None:
    """Logs and request queues of platforms that have none."""
    for index, route in enumerate(routes):
        path: KeyPath = ("routes", index)
        meant = _meant(check, (*path, "when"), sources)
        names = ", ".join(f"`{one.name}`" for one in meant)
        for key, what in (("log_tail", "logs"), ("requests", "request queues")):
            lacks = [getattr(type(one), key, None) is getattr(Bare, key) for one in meant]
            if lacks and all(lacks) and getattr(route.read, key):
                check.warn(f"runs of {names} have no {what}: leave it out", (*path, "read", key))


def same_place(check: Checker, routes: tuple[Route, ...], sources: Mapping[str, Source]) -> None:
    """Files by the ids of runs, where runs of several platforms come together: ids are only unique at one."""
    for index, route in enumerate(routes):
        if len(_meant(check, ("routes", index, "when"), sources)) < _SEVERAL:
            continue
        for path, target in _targets(check, route, ("routes", index)):
            if not hasattr(target.options, "path"):
                continue
            template = target.options.path
            roots = template.roots if isinstance(template, Template) else {"run"}
            if "run" in roots and "source" not in roots:
                check.warn(
                    "runs of several sources come here, and two with the same id would be one file: put "
                    "`{{ source }}` into `path`",
                    (*path, "path") if template else path,
                )


def _meant(check: Checker, when: KeyPath, sources: Mapping[str, Source]) -> list[Source]:
    """The sources whose runs get as far as a place that chooses: those it names, or the nearest place around it."""
    for end in range(len(when), 0, -1):
        place = when[:end] if when[end - 1] in {"when", "not"} else (*when[:end], "when")
        if patterns := [pattern for _, pattern in _patterns(check, (*place, "source"))]:
            return [one for name, one in sources.items() if any(fnmatchcase(name, each) for each in patterns)]
    return list(sources.values())


def always_changed(check: Checker, routes: tuple[Route, ...]) -> None:
    """Items that are compared after something of the run itself was put into them."""
    for index, route in enumerate(routes):
        for path, target in _targets(check, route, ("routes", index)):
            if target.only is None:
                continue
            read = {"read.": route.read.transform} if target.send == "items" else {}
            for name, said in _of_one_run({**read, "": target.transform}).items():
                at = (*path, "only") if check.block(path).get("only") else path
                if name in target.only.key:
                    check.warn(f"`{said}` differs in every run, so no item is ever the same as before", at)
                elif "changed" in target.only.change:
                    check.warn(f"`{said}` differs in every run, so every item counts as changed", at)


def _of_one_run(steps: Mapping[str, Transform]) -> dict[str, str]:
    """Fields that items have in the end and that differ in each run, with the keys that said so.

    steps: what comes before the keys of each.
    """
    found: dict[str, str] = {}
    for before, step in steps.items():
        if step.fields is not None:
            passed = {name: found[path[1]] for name, path in _passed(step.fields) if path[1] in found}
            found = {
                **passed,
                **{name: f"{before}fields.{name}" for name in step.fields if _differs(step.fields[name])},
            }
        elif step.keep:
            found = {name: said for name, said in found.items() if name in step.keep}
        for name, expression in step.set.items():
            found.pop(name, None)
            if _differs(expression):
                found[name] = f"{before}set.{name}"
        found = {name: said for name, said in found.items() if name not in step.omit}
    return found


def _passed(fields: Mapping[str, Expression]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Fields that are nothing but another of the item before."""
    for name, expression in fields.items():
        if expression.path and len(expression.path) == 2 and expression.path[0] == "item":
            yield name, expression.path


def _differs(expression: Expression) -> bool:
    inner = expression.node.find_all(nodes.Filter)
    paths = [path for node in (expression.node, *inner) if (path := dotted(node))]
    return any(
        len(path) > 1 and path[0] == "run" and (path[1] in _OF_ONE_RUN or path[1].startswith(_BEGINNINGS))
        for path in paths
    )


def _targets(check: Checker, route: Route, path: KeyPath) -> Iterator[tuple[KeyPath, Target]]:
    yield from zip(check.blocks((*path, "to")), route.to, strict=True)
    if route.expect:
        yield from zip(check.blocks((*path, "expect", "else")), route.expect.to, strict=True)


def _whens(check: Checker) -> Iterator[KeyPath]:
    """Every place of the file that chooses runs."""
    routes = check.blocks(("routes",))
    lists = [(*route, *to) for route in routes for to in (("to",), ("expect", "else"))]
    for path in (*routes, *chain.from_iterable(check.blocks(to) for to in (*lists, (UNMATCHED, "to")))):
        yield from ((*path, "when"), (*path, "when", "not"))


def _patterns(check: Checker, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    value = check.value(path)
    if isinstance(value, list):
        yield from (((*path, index), str(one)) for index, one in enumerate(value))
    elif value is not None:
        yield path, str(value)
