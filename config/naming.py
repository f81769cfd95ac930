"""Names in a file: what may be one, and whether those that are used are given to something."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from config.checking import Checker
from config.document import KeyPath
from config.nearest import guess
from config.shapes import NAME_ADVICE, NAME_PATTERN

_NAME = re.compile(NAME_PATTERN, re.ASCII)


def is_name(check: Checker, name: Any, path: KeyPath, *, key: bool = False) -> None:
    if isinstance(name, str) and not _NAME.fullmatch(name):
        check.say(f"`{name}` is no name: {NAME_ADVICE}", path, key=key)


def names(check: Checker, path: KeyPath) -> list[str]:
    """The keys of the blocks in the block at `path`, each held against the pattern for names."""
    found = [str(below[-1]) for below in check.blocks(path)]
    for name in found:
        is_name(check, name, (*path, name), key=True)
    return found


def unique(
    check: Checker,
    paths: Iterable[KeyPath],
    name_of: Callable[[KeyPath], Any],
    message: str,
    taken: Collection[str] = (),
) -> None:
    """Say `message` of each name that stands at two of the paths, or is taken already."""
    seen = set(taken)
    for path in paths:
        name = name_of(path)
        if isinstance(name, str) and name in seen:
            where = "name" if "name" in check.block(path) else "sink"
            check.say(message.format(name), (*path, where))
        seen.add(str(name))


def sources_exist(check: Checker, path: KeyPath) -> None:
    """Sources that a `when` at `path` names must exist."""
    for below in ((*path, "when"), (*path, "when", "not")):
        named = check.block(below).get("source", [])
        for index, source in enumerate(named if isinstance(named, list) else [named]):
            if "*" not in str(source):
                source_exists(check, source, (*below, "source", index)[: None if isinstance(named, list) else -1])


def source_exists(check: Checker, source: Any, path: KeyPath) -> None:
    """A route that is restored knows no sources: then there is nothing to hold the name against."""
    known = check.block(("sources",))
    if known and isinstance(source, str) and source not in known:
        check.say(f"no source `{source}` is defined: {guess(source, known)}defined are {', '.join(known)}", path)


def sink_exists(check: Checker, sink: Any, path: KeyPath) -> None:
    defined = check.block(("sinks",))
    if isinstance(sink, str) and sink not in defined and ("sinks",) not in check.broken:
        known = f"{guess(sink, defined)}defined are {', '.join(defined) or 'none'}"
        check.say(f"no sink `{sink}` is defined: {known}", path)
