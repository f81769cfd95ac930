"""The one door to Jinja2: templates from runrelay.yaml, checked when the file is loaded, rendered in a sandbox.

A template sees data only. No Python attribute or method can be reached, nothing can be called, there are no loops and
no assignments: what is left are names, keys, indexes, comparisons, `if`, and the filters of `filters.py`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from math import isfinite
from typing import Any, ClassVar, Self

import msgspec
from jinja2 import ChainableUndefined, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.filters import FILTERS
from config.language.printed import printed

#: the names a template may begin with
ROOTS = frozenset({"run", "actor", "task", "build", "schedule", "event", "record", "dataset", "route", "target"})
#: characters one template may print, and have
MOST = 65_536
#: levels of a template: of blocks, brackets, filters and terms. What it is compiled to may not be deeper than 100.
DEEPEST = 50

#: in the scope, not to be named by a template: the function that prints values
_SHOW = "_show"
#: a whole text that is one expression
_SINGLE = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_BRACED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TESTS = ("defined", "undefined", "none", "boolean", "true", "false", "string", "number", "mapping", "in")
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
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
    nodes.If,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
)
_SPOKEN = {
    "Call": "calls",
    "For": "loops",
    "Assign": "assignments",
    "Mul": "`*`",
    "Pow": "`**`",
    "Mod": "`%`",
    "Concat": "`~`",  # it would print null as a word; `{{ a }}{{ b }}` joins as well
}


class _Sandbox(ImmutableSandboxedEnvironment):
    """Reads keys and indexes of data, and nothing else of any object."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, msgspec.Raw):
            obj = msgspec.json.decode(obj)
        if isinstance(obj, Mapping | Sequence):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def is_safe_callable(self, obj: Any) -> bool:
        return False


@pass_context
def _shown(context: Context, value: Any) -> str:
    """How a value is printed; text around values is left as it is written."""
    show: Callable[[Any], str] = context.get(_SHOW, printed)
    return show(value)


def _sandbox() -> _Sandbox:
    # Folding constants beforehand takes the square of a chain's length.
    sandbox = _Sandbox(
        undefined=ChainableUndefined, finalize=_shown, keep_trailing_newline=True, autoescape=False, optimized=False
    )
    sandbox.globals.clear()
    sandbox.filters = dict(FILTERS)
    sandbox.tests = {name: sandbox.tests[name] for name in _TESTS}
    return sandbox


_SANDBOX = _sandbox()


class Template:
    """Text with `{{ … }}` in it, for instance `{{ run.id }}.jsonl`. Usable as a pydantic field; `str()` is its source.

    Raises ValueError if it cannot be understood, or begins with a name or uses a filter that does not exist. A subclass
    may know more `names`.
    """

    names: ClassVar[frozenset[str]] = ROOTS
    __slots__ = ("_compiled", "_single", "roots", "source")

    def __init__(self, source: str, names: Collection[str] | None = None) -> None:
        self.source = source
        if len(source) > MOST:
            raise ValueError(f"not a template: longer than {MOST} characters")
        try:
            tree = _parsed(source)
            self.roots = _checked(tree, self.names if names is None else names)
            self._compiled = _SANDBOX.from_string(source)
            inside = _SINGLE.fullmatch(source) if _is_single(tree) else None
            self._single = _SANDBOX.compile_expression(inside[1]) if inside else None
        except TemplateSyntaxError as exc:
            raise ValueError(f"not a template: {exc.message} (line {exc.lineno})") from None
        except RecursionError:
            raise ValueError("not a template: nested too deeply") from None
        except SyntaxError as exc:  # Python's own, for instance of a keyword that stands twice
            raise ValueError(f"not a template: {exc.msg}") from None

    @property
    def single(self) -> bool:
        """Whether it is one `{{ … }}` and nothing else: `value` then keeps its type."""
        return self._single is not None

    def render(self, scope: Mapping[str, Any], show: Callable[[Any], str] = printed) -> str:
        """The text for one run. What is missing below a root name prints nothing, and so does null.

        show: prints a value, and may escape it; it is not asked for the text around values.

        Raises Permanent(template_failed) if values do not fit, or more than `MOST` characters come out.
        """
        pieces: list[str] = []
        room = MOST
        with self._fitting():
            for piece in self._compiled.generate({**scope, _SHOW: show}):
                room -= len(piece)
                if room < 0:
                    raise Permanent(Reason.TEMPLATE_FAILED, f"{self._short()} prints more than {MOST} characters")
                pieces.append(piece)
        return "".join(pieces)

    def value(self, scope: Mapping[str, Any]) -> Any:
        """What `{{ … }}` stands for, with its type, if the template is nothing else; what is missing is null.
        Otherwise the text, as `render` has it, and with its errors."""
        if self._single is None:
            return self.render(scope)
        with self._fitting():
            return self._single(scope)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Values that do not fit what a template does with them."""
        try:
            yield
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as exc:
            raise Permanent(Reason.TEMPLATE_FAILED, f"{self._short()}: {exc}") from None

    def _short(self) -> str:
        """What is between braces: text around it may be a secret that was filled in."""
        said = "".join(_BRACED.findall(self.source))
        return said if len(said) <= 80 else f"{said[:79]}…"

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @classmethod
    def _of(cls, given: Any) -> Self:
        if isinstance(given, cls):
            return given
        if not isinstance(given, str):
            raise PydanticCustomError("template_type", "Input should be a template: text such as `{{ run.id }}.jsonl`")
        return cls(given)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._of,
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "jinja2"}


def _parsed(source: str) -> nodes.Template:
    try:
        return _SANDBOX.parse(source)
    except ValueError:  # of Python, which reads integers of thousands of digits no more
        raise ValueError("not a template: a number is too long") from None


def _is_single(tree: nodes.Template) -> bool:
    """Whether there is one expression and no text around it."""
    outputs = [found for output in tree.body if isinstance(output, nodes.Output) for found in output.nodes]
    return len(tree.body) == len(outputs) == 1 and not isinstance(outputs[0], nodes.TemplateData)


def _checked(tree: nodes.Template, names: Collection[str]) -> frozenset[str]:
    """The root names a template mentions. Raises ValueError for anything a template may not hold."""
    for node in _every(tree):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"templates have no {_spoken(node)}: use names, `if`, and filters ({_listed(FILTERS)})")
        if isinstance(node, nodes.Const) and isinstance(node.value, float) and not isfinite(node.value):
            raise ValueError("templates have no numbers that large")
    for used in tree.find_all(nodes.Filter):
        _known("filter", used.name, FILTERS)
    for asked in tree.find_all(nodes.Test):
        _known("test", asked.name, _TESTS)
    roots = frozenset(name.name for name in tree.find_all(nodes.Name))
    for root in sorted(roots):
        _known("name", root, names)
    return roots


def _every(tree: nodes.Template) -> Iterator[nodes.Node]:
    """Every node below the top, level by level. Raises ValueError beyond `DEEPEST`."""
    level: list[nodes.Node] = list(tree.iter_child_nodes())
    for _ in range(DEEPEST):
        yield from level
        level = [below for node in level for below in node.iter_child_nodes()]
    if level:
        raise ValueError("not a template: nested too deeply")


def _known(what: str, word: str, words: Iterable[str]) -> None:
    known = sorted(words)
    if word in known:
        return
    near = get_close_matches(word, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {_listed(known)}"
    raise ValueError(f"unknown {what} `{word}`: {hint}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _spoken(node: nodes.Node) -> str:
    kind = type(node).__name__
    return _SPOKEN.get(kind, f"`{kind.lower()}`")
