"""docs/reference/troubles.md says what the sinks say: every line is put together from texts of the sink's own sources,
and what follows from it is the class that is raised with such a text."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from config import plugins
from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized
from config.contracts.sink import Rejected
from workers.rows import Unfit

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/troubles.md"
#: What follows from which classes. What a request of one item is refused for is that item's fault.
VERDICTS = {
    "tried again": {Transient.__name__},
    "paused": {Unauthorized.__name__},
    "waits": {Forbidden.__name__},
    "dead letter": {Permanent.__name__},
    "item rejected": {Rejected.__name__, Permanent.__name__},
}
CLASSES = set().union(*VERDICTS.values())
HOLE = "…"
#: Texts that are shorter say nothing about where they come from.
TELLING = 12


class Trouble(NamedTuple):
    sink: str
    what: str
    follows: str
    line: str


def troubles(page: str) -> Iterator[Trouble]:
    """The rows of the page."""
    for section in page.split("\n## `")[1:]:
        sink, _, text = section.partition("`")
        for row in re.findall(r"^\| (.*) \|$", text, re.MULTILINE):
            what, follows, line = (cell.replace("\\|", "|") for cell in re.split(r" (?<!\\)\| ", row))
            if what != "what happened":
                yield Trouble(sink, what, follows, re.sub(r"^(`+) ?(.*?) ?\1$", r"\2", line))


TROUBLES = list(troubles(PAGE.read_text()))


# what the sources say


def texts(node: ast.AST) -> Iterator[str]:
    """The fixed parts of every text below a node, longer than a sign or two."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield from (part for part in re.split(r"\{[a-z]*\}|…", each.value) if part.strip())


class Source(NamedTuple):
    """A module.

    Attributes:
        texts: all fixed parts of its texts.
        raised: of those that stand beside a class of a verdict, or in what is named there: which.
        imports: modules of ours.
    """

    texts: frozenset[str]
    raised: Mapping[str, frozenset[str]]
    imports: frozenset[str]


@cache
def source(module: str) -> Source:
    tree = ast.parse(file_of(module).read_text())
    found = defaultdict[str, set[str]](set)
    for node, name, known in verdicts(tree):
        for text in told(node, known):
            found[text].add(name)
    froms = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    imports = {name for one in froms for name in (one.module, *(f"{one.module}.{each.name}" for each in one.names))}
    ours = frozenset(str(name) for name in imports if str(name).startswith("workers.") and file_of(str(name)).is_file())
    return Source(frozenset(texts(tree)), {text: frozenset(names) for text, names in found.items()}, ours)


def file_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def verdicts(tree: ast.Module) -> Iterator[tuple[ast.AST, str, Sequence[ast.AST]]]:
    """Every place where a verdict is made, `Transient(…, "text")` or `(Transient, "text")`, its class, and what names
    in it may mean: definitions of its module and its function."""
    top = [each for one in tree.body for each in (one.body if isinstance(one, ast.ClassDef) else [one])]
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    classes = classes_of(tree)
    for place in (*top, *functions):
        known: Sequence[ast.AST] = [*top, *ast.walk(place)] if place in functions else top
        for node in ast.walk(place):
            beside = node.elts if isinstance(node, ast.Tuple) else [node.func] if isinstance(node, ast.Call) else ()
            for name in {one.id for one in beside if isinstance(one, ast.Name)} & classes.keys():
                yield node, classes[name], known


def classes_of(tree: ast.Module) -> dict[str, str]:
    """Names that stand for a verdict's class: its own, that of a function that returns one, `A, B = Transient, …`."""
    found = {name: name for name in CLASSES} | {Unfit.__name__: Rejected.__name__}
    for one in tree.body:
        if isinstance(one, ast.FunctionDef) and isinstance(one.returns, ast.Name) and one.returns.id in CLASSES:
            found[one.name] = one.returns.id
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Tuple) and isinstance(one.targets[0], ast.Tuple):
            pairs = zip(one.targets[0].elts, one.value.elts, strict=True)
            names = [(to.id, of.id) for to, of in pairs if isinstance(to, ast.Name) and isinstance(of, ast.Name)]
            found |= {to: of for to, of in names if of in CLASSES}
    return found


def told(node: ast.AST, known: Sequence[ast.AST]) -> set[str]:
    """The texts of it, and of what it names, and of what that names."""
    found, seen, left = set(texts(node)), set(CLASSES), named(node)
    while left - seen:
        meant = [one for one in known if defined(one) & (left - seen)]
        seen |= left
        found |= {text for one in meant for text in texts(one)}
        left = set().union(*map(named, meant))
    return found


def named(node: ast.AST) -> set[str]:
    """Names that stand in an expression, and the constants of a function."""
    below = list(ast.walk(node.value if isinstance(node, ast.Assign | ast.NamedExpr) else node))
    names = {one.id for one in below if isinstance(one, ast.Name)}
    names |= {one.attr for one in below if isinstance(one, ast.Attribute)}
    return {name for name in names if name.isupper()} if isinstance(node, ast.FunctionDef) else names


def defined(node: ast.AST) -> set[str]:
    """What a statement gives a meaning to."""
    match node:
        case (
            ast.FunctionDef(name=name)
            | ast.NamedExpr(target=ast.Name(id=name))
            | ast.AnnAssign(target=ast.Name(id=name))
        ):
            return {name}
        case ast.Assign(targets=targets):
            return {to.id for to in targets if isinstance(to, ast.Name)}
    return set()


@cache
def sources(sink: str) -> tuple[Source, ...]:
    """The sink's module, and all of ours that it is made of."""
    found, left = dict[str, Source](), {f"workers.sinks.{sink}"}
    while left:
        module = left.pop()
        found[module] = source(module)
        left |= found[module].imports - found.keys()
    return tuple(found.values())


def put_together(line: str, parts: frozenset[str]) -> bool:
    """Whether a text consists of such parts, the last one perhaps cut off."""
    reached = {0}
    for at in range(len(line)):
        if at in reached:
            reached |= {at + len(part) for part in parts if line.startswith(part, at)}
            if any(part.startswith(line[at:]) for part in parts):
                return True
    return len(line) in reached


def lies(trouble: Trouble) -> list[str]:
    """What the sources know nothing of. A part may have been joined to what stands before it."""
    parts = frozenset(part for one in sources(trouble.sink) for part in one.texts)
    pieces = [piece for piece in trouble.line.split(HOLE) if piece.strip(" :;.,()\"'`")]
    return [piece for piece in pieces if not (put_together(piece, parts) or put_together(piece.lstrip(": "), parts))]


def raised(trouble: Trouble) -> set[str]:
    """The classes that are raised with the longest text of the line that any is raised with."""
    known = [
        (len(text), classes)
        for one in sources(trouble.sink)
        for text, classes in one.raised.items()
        if len(text.strip()) >= TELLING and text.strip() in trouble.line
    ]
    longest = max((size for size, _ in known), default=0)
    return set().union(*(classes for size, classes in known if size == longest))


# the page


def test_every_sink_is_on_it() -> None:
    assert sorted({one.sink for one in TROUBLES}) == plugins.known("workers.sinks", plugins.SINKS)


def test_every_verdict_is_one_of_the_five() -> None:
    assert [one for one in TROUBLES if one.follows not in VERDICTS] == []
    assert {one.follows for one in TROUBLES} == set(VERDICTS)


@pytest.mark.parametrize("sink", sorted({one.sink for one in TROUBLES}))
def test_every_line_is_what_its_sink_says(sink: str) -> None:
    assert [(one.what, lies(one)) for one in TROUBLES if one.sink == sink and lies(one)] == []


@pytest.mark.parametrize("sink", sorted({one.sink for one in TROUBLES}))
def test_what_follows_is_what_is_raised_with_that_line(sink: str) -> None:
    wrong = [
        (one.what, one.follows, raised(one))
        for one in TROUBLES
        if one.sink == sink and raised(one) and not raised(one) & VERDICTS[one.follows]
    ]
    assert wrong == []


def test_most_lines_stand_beside_their_verdict() -> None:
    """Else the test above would look at nothing."""
    assert sum(bool(raised(one)) for one in TROUBLES) > len(TROUBLES) * 0.9
