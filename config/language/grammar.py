"""What may be written: the nodes, names, filters and tests of the language, checked when the file is loaded."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from math import isfinite
from typing import Any

from jinja2 import nodes

from config.language.conditions import CONDITIONS
from config.language.filters import FILTERS
from config.language.operators import DEEPEST

_VALUES = (
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Keyword,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
)
_TEXTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If)
_SPOKEN = {
    "Call": "calls",
    "For": "loops",
    "Assign": "assignments",
    "Mul": "`*`",
    "Pow": "`**`",
    "Mod": "`%`",
    "Concat": "`~`",  # it would print null as a word; `{{ a }}{{ b }}` joins as well
}


#: What others call filters and tests of ours.
_METHODS = {
    "len": "length",
    "strip": "trim",
    "str": "string",
    "float": "number",
    "Number": "number",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "startsWith": "startswith",
    "endsWith": "endswith",
}
_NOTHING = frozenset({"null", "nil", "undef"})


def checked(tree: nodes.Template, names: Collection[str], *, what: str) -> frozenset[str]:
    """The root names that are mentioned. Raises ValueError for anything that may not stand there.

    what: `template` or `expression`, for the message.
    """
    found = list(_every(tree, what))
    for node in found:
        if not isinstance(node, _VALUES + _TEXTS):
            instead = _instead(node) or f"use names, `if`, and filters ({_listed(FILTERS)})"
            raise ValueError(f"{what}s have no {_spoken(node)}: {instead}")
        if isinstance(node, nodes.Const) and isinstance(node.value, float) and not isfinite(node.value):
            raise ValueError(f"{what}s have no numbers that large")
        if isinstance(node, nodes.Pair) and not _is_text(node.key):
            raise ValueError("the keys of an object are texts: {'name': item.name}")
    for node in found:
        if isinstance(node, nodes.Filter):
            _fits("filter", node, FILTERS)
        elif isinstance(node, nodes.Test):
            _fits("test", node, CONDITIONS)
    return _roots(tree, {node.name for node in found if isinstance(node, nodes.Name)}, names)


def _instead(node: nodes.Node) -> str | None:
    """The filter or test that does what is called."""
    match node:
        case nodes.Call(node=nodes.Getattr(attr=name) | nodes.Name(name=name)):
            word = _METHODS.get(name, name)
            if word in FILTERS:
                return f"write it as a filter, `… | {word}`"
            if word in CONDITIONS:
                return f"write it as a test, `… is {word}('…')`"
    return None


def _every(tree: nodes.Template, what: str) -> Iterator[nodes.Node]:
    """Every node below the top, level by level. Raises ValueError beyond `DEEPEST`."""
    level: list[nodes.Node] = list(tree.iter_child_nodes())
    for _ in range(DEEPEST):
        yield from level
        level = [below for node in level for below in node.iter_child_nodes()]
    if level:
        raise ValueError(f"not {article(what)}: nested too deeply")


def article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def _fits(what: str, used: nodes.Filter | nodes.Test, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Raises ValueError for an unknown filter or test, or for arguments it does not take."""
    known(what, used.name, functions)
    if used.dyn_args or used.dyn_kwargs:
        raise ValueError(f"{what} `{used.name}`: write its arguments one by one, without `*`")
    names = [str(keyword.key) for keyword in used.kwargs]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{what} `{used.name}`: {_listed(repeated)} stands twice")
    try:
        _signature(functions[used.name]).bind(None, *used.args, **dict.fromkeys(names))
    except TypeError as exc:
        takes = _listed(list(_signature(functions[used.name]).parameters)[1:]) or "nothing"
        cure = f"; it takes {takes}" if "keyword" in str(exc) else ""
        raise ValueError(f"{what} `{used.name}`: {exc}{cure}") from None


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _roots(tree: nodes.Template, used: set[str], names: Collection[str]) -> frozenset[str]:
    """Raises ValueError for a name that is not known. `null` is `none`, as it is in JSON and YAML."""
    bare = used - {"null"}
    if unknown := sorted(bare - set(names)):
        _unknown_root(tree, unknown[0], names)
    return frozenset(bare)


def _unknown_root(tree: nodes.Template, word: str, names: Collection[str]) -> None:
    """With a dot behind it, it is a root name misspelt; without, rather a field whose item was left out."""
    dotted = {path.node.name for path in tree.find_all(nodes.Getattr) if isinstance(path.node, nodes.Name)}
    if word.isupper() and word not in dotted and not _hyphened(tree, word):
        raise ValueError(f"unknown name `{word}`: did you mean `'{word}'`? Text stands in quotes")
    if "item" in names:
        near = get_close_matches(word, sorted(names), n=1, cutoff=0.6 if word in dotted else 0.85)
        meant = _hyphened(tree, word) or (near[0] if near else f"item.{word}")
        raise ValueError(f"unknown name `{word}`: did you mean `{meant}`?")
    if "run" in names and not {"item", "record"} & set(names):
        if word in {"item", "items", "record"}:
            raise ValueError(f"`{word}` has no meaning here, where the whole run is looked at: move it below `read:`")
        near = get_close_matches(word, sorted(names), n=1)
        raise ValueError(f"unknown name `{word}`: did you mean `{near[0] if near else f'run.{word}'}`?")
    known("name", word, names)


def _hyphened(tree: nodes.Template, word: str) -> str | None:
    """`item['first-name']` for `item.first-name`, which is a subtraction."""
    for less in tree.find_all(nodes.Sub):
        match less:
            case nodes.Sub(left=nodes.Getattr(node=nodes.Name(name=root), attr=attr), right=nodes.Name(name=right)):
                if right == word:
                    return f"{root}['{attr}-{word}']"
    return None


def known(what: str, word: str, words: Iterable[str]) -> None:
    """Raises ValueError with the nearest one."""
    there = sorted(words)
    if word in there:
        return
    near = ["none"] if word in _NOTHING and "none" in there else get_close_matches(word, there, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {_listed(there)}"
    raise ValueError(f"unknown {what} `{word}`: {hint}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _spoken(node: nodes.Node) -> str:
    name = type(node).__name__
    return _SPOKEN.get(name, f"`{name.lower()}`")
