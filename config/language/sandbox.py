"""The one door to Jinja2: what was written is parsed and checked, gets the meaning it has here, and is compiled.

It sees data only. No Python attribute or method can be reached, nothing can be called, there are no loops and no
assignments: what is left are names, keys, indexes, comparisons, `if`, and our own filters and tests.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from config.language import operators
from config.language.conditions import CONDITIONS
from config.language.filters import FILTERS
from config.language.grammar import article, checked
from config.language.printed import printed

#: What goes wrong when values do not fit what is done with them.
UNFIT = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError)

#: in the scope, not to be named: the function that prints values, and the items of a loop
_SHOW, _ITEMS = "_show", "_items"
_BRACES = re.compile(r"\{\{|\{%|\}\}")
#: What people write who know other languages, as Jinja stumbles over it, and what it is called here.
_ELSEWHERE = (
    (re.compile(r"unexpected char '&'"), "write `and`"),
    (re.compile(r"unexpected char '!'"), "write `not`"),
    (re.compile(r"got '\|'"), "write `or`"),
    (re.compile(r"(got|unexpected) '='"), "`==` compares"),
    (re.compile(r"unexpected char '\?'"), "write `a if condition else b`"),
    (re.compile(r"unexpected char ('\"'|\"'\")"), "a quote is never closed"),
    (re.compile(r"unexpected char '#'"), "write `item['#name']`"),
    (re.compile(r"got '(AND|OR|NOT|IN|IS)'"), "write it in small letters"),
)
#: how Jinja says that an expression ends too early: it stumbles over what we write behind it
_BREAKS_OFF = re.compile(r"(unexpected|got) '(end of print statement|\})'|unexpected end of template")


#: what is found in a template beside code
_NO_CODE = frozenset({"data", "comment_begin", "comment", "comment_end", "raw_begin", "raw_end"})


class _Sandbox(ImmutableSandboxedEnvironment):
    """Reads keys and indexes of data, and nothing else of any object."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        return operators.key(obj, argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return operators.key(obj, attribute)

    def is_safe_callable(self, obj: Any) -> bool:
        return False


class _Values(CodeGenerator):
    """Yields values with their types, where Jinja's own yields texts."""

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802  # as Jinja calls it
        for value in node.nodes:
            self.writeline("yield ", value)
            self.visit(value, frame)


class _ValueSandbox(_Sandbox):
    code_generator_class = _Values


@pass_context
def _shown(context: Context, value: Any) -> str:
    """How a value is printed; text around values is left as it is written."""
    show: Callable[[Any], str] = context.get(_SHOW, printed)
    return show(value)


#: What is written otherwise than it is done: our own filters, whose names nobody can write.
_OURS: dict[str, Callable[..., Any]] = {
    "_key": operators.key,
    "_cut": operators.cut,
    "_plain": operators.plain,
    "_listed": operators.listed,
    "_mapped": operators.mapped,
    "_add": operators.add,
    "_subtract": operators.subtract,
    "_negative": operators.negative,
    "_compared": operators.compared,
    **{f"_{name}": compare for name, compare in operators.COMPARISONS.items()},
}


def _closed(sandbox: _Sandbox) -> _Sandbox:
    sandbox.globals.clear()
    sandbox.filters = FILTERS | _OURS
    sandbox.tests = dict(CONDITIONS)
    return sandbox


# Folding constants beforehand takes the square of a chain's length.
_TEXTS = _closed(_Sandbox(finalize=_shown, keep_trailing_newline=True, autoescape=False, optimized=False))
_VALUES = _closed(_ValueSandbox(autoescape=False, optimized=False))


class _Meaning(NodeTransformer):
    """Gives paths, signs and brackets the meaning of `operators`, in place."""

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:  # noqa: N802  # as Jinja calls them, here and below
        return nodes.Const(None, lineno=node.lineno) if node.name == "null" else node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Expr:  # noqa: N802
        return _ours("_key", self.visit(node.node), nodes.Const(node.attr))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        data = self.visit(node.node)
        if not isinstance(node.arg, nodes.Slice):
            return _ours("_key", data, self.visit(node.arg))
        ends = (node.arg.start, node.arg.stop, node.arg.step)
        return _ours("_cut", data, *(self.visit(end) if end else nodes.Const(None) for end in ends))

    def visit_List(self, node: nodes.List | nodes.Tuple) -> nodes.Expr:  # noqa: N802
        items = [self.visit(item) for item in node.items]
        made = nodes.List(items, lineno=node.lineno)
        return made if all(isinstance(item, nodes.Const) for item in items) else _ours("_listed", made)

    visit_Tuple = visit_List  # noqa: N815

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _ours("_mapped", node)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        node.expr2 = node.expr2 or nodes.Const(None)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        match node.ops:
            case [nodes.Operand(op="eq" | "ne")]:
                return node
            case [one]:
                return _ours(f"_{one.op}", node.expr, one.expr)
        pairs = [part for one in node.ops for part in (nodes.Const(one.op), one.expr)]
        return _ours("_compared", node.expr, *pairs)

    def visit_Add(self, node: nodes.Add) -> nodes.Expr:  # noqa: N802
        return _ours("_add", self.visit(node.left), self.visit(node.right))

    def visit_Sub(self, node: nodes.Sub) -> nodes.Expr:  # noqa: N802
        return _ours("_subtract", self.visit(node.left), self.visit(node.right))

    def visit_Neg(self, node: nodes.Neg) -> nodes.Expr:  # noqa: N802
        return _ours("_negative", self.visit(node.node))


def _ours(name: str, value: nodes.Expr, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno or 1)


def read_template(source: str, names: Collection[str]) -> tuple[nodes.Template, frozenset[str]]:
    """What `source` means, and the root names it mentions. Raises ValueError."""
    return _read(source, names, "template")


def read_expression(source: str, names: Collection[str]) -> tuple[nodes.Expr, frozenset[str]]:
    """The same of what could stand between `{{` and `}}`. Raises ValueError."""
    if not source.strip():
        raise ValueError("not an expression: there is nothing")
    if _BRACES.match(source.strip()):
        raise ValueError("not an expression: write it without {{ }}")
    tree, roots = _read(f"{{{{ {source}\n}}}}", names, "expression", written=source)
    expression = single(tree)
    if expression is None:
        raise ValueError("not an expression: write it without {{ }}")
    if _is_list(expression) and not source.strip().startswith("["):
        raise ValueError("not an expression: a comma stands outside of brackets: a list is written [a, b]")
    return expression, roots


def _is_list(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.List) or (isinstance(node, nodes.Filter) and node.name == "_listed")


def _read(
    text: str, names: Collection[str], what: str, written: str | None = None
) -> tuple[nodes.Template, frozenset[str]]:
    no = f"not {article(what)}"
    if len(text) > operators.MOST:
        raise ValueError(f"{no}: longer than {operators.MOST} characters")
    try:
        tree = _TEXTS.parse(text)
        roots = checked(tree, names, what=what)
    except TemplateSyntaxError as exc:
        raise ValueError(f"{no}: {_stumbled(exc, written)}") from None
    except RecursionError:
        raise ValueError(f"{no}: nested too deeply") from None
    except ValueError as exc:
        if "integer string conversion" in str(exc):  # Python reads integers of thousands of digits no more
            raise ValueError(f"{no}: a number is too long") from None
        raise
    _Meaning().visit(tree)
    tree.set_environment(_TEXTS)
    return tree, roots


def _stumbled(exc: TemplateSyntaxError, written: str | None) -> str:
    """What Jinja says, in words that fit what was `written`."""
    said = exc.message or ""
    cure = next((f": {cure}" for pattern, cure in _ELSEWHERE if pattern.search(said)), "")
    said = re.sub(r" at \d+$", "", said) + cure
    if written is None:
        return f"{_whole(said)} (line {exc.lineno})"
    if _BRACES.search(written):
        return "write it without {{ }}"
    if _BREAKS_OFF.search(said):
        return "it breaks off"
    said = said.replace("expected token 'end of print statement', got", "unexpected")
    return f"{said} (line {exc.lineno})" if "\n" in written.strip() else said


def _whole(said: str) -> str:
    """What Jinja says of a template, without what only its own users know."""
    if "looking for the following tags" in said:
        return "an `{% if … %}` without its `{% endif %}`"
    if said.startswith("Expected an expression"):
        return "an expression is missing, or breaks off"
    return said


def blanked(text: str) -> str:
    """What stands between the braces of a template that was read, with `…` for what is quoted there. That, and the text
    around braces, may be a secret that was filled in."""
    code = (token for token in _TEXTS.lex(text) if token[1] not in _NO_CODE)
    return "".join(f"{said[0]}…{said[0]}" if kind == "string" else said for _, kind, said in code)


def single(tree: nodes.Template) -> nodes.Expr | None:
    """The one expression of a template that is nothing else."""
    outputs = [found for output in tree.body if isinstance(output, nodes.Output) for found in output.nodes]
    alone = len(tree.body) == len(outputs) == 1 and not isinstance(outputs[0], nodes.TemplateData)
    return outputs[0] if alone else None


def dotted(node: nodes.Expr) -> tuple[str, ...] | None:
    """`("item", "seller", "name")` of what `item.seller.name` means; None for anything else."""
    keys: list[str] = []
    while isinstance(node, nodes.Filter) and node.name == "_key":
        match node:
            case nodes.Filter(node=nodes.Expr() as inner, args=[nodes.Const(value=str() as name)]):
                keys.append(name)
                node = inner
            case _:
                return None
    return (node.name, *reversed(keys)) if isinstance(node, nodes.Name) else None


def together(columns: Mapping[str, nodes.Expr]) -> nodes.Expr:
    """An object of several expressions."""
    return nodes.Dict([nodes.Pair(nodes.Const(name), _ours("_plain", node)) for name, node in columns.items()])


class Text:
    """A compiled template."""

    def __init__(self, tree: nodes.Template, roots: Iterable[str]) -> None:
        self._template = _TEXTS.from_string(tree)
        self._absent = dict.fromkeys(roots)

    def pieces(self, scope: Mapping[str, Any], show: Callable[[Any], str]) -> Iterator[str]:
        """What it prints, piece by piece. Raises one of `UNFIT`."""
        return self._template.root_render_func(self._template.new_context({**self._absent, **scope, _SHOW: show}))


class One:
    """A compiled expression."""

    def __init__(self, node: nodes.Expr, roots: Iterable[str]) -> None:
        self._template = _compiled(nodes.Output([node], lineno=1))
        self._absent = dict.fromkeys(roots)

    def value(self, scope: Mapping[str, Any]) -> Any:
        """Raises one of `UNFIT`."""
        return next(self._template.root_render_func(self._template.new_context({**self._absent, **scope})))


class Loop:
    """The same, compiled to be asked of many items in turn.

    under: what the expression calls the item.
    """

    def __init__(self, node: nodes.Expr, roots: Iterable[str], under: str) -> None:
        body = nodes.Output([_ours("_plain", node)], lineno=1)
        each = nodes.For(nodes.Name(under, "store"), nodes.Name(_ITEMS, "load"), [body], [], None, False, lineno=1)
        self._template = _compiled(each)
        self._absent = dict.fromkeys(roots)

    def each(self, items: Iterable[Any], scope: Mapping[str, Any], unfit: Callable[[int, Exception], Any]) -> list[Any]:
        """One value for each item; for those it does not fit, what `unfit` makes of their index and the exception."""
        left = iter(items)  # behind an item that does not fit, the loop is entered again and goes on from here
        context = self._template.new_context({**self._absent, **scope, _ITEMS: left})
        values: list[Any] = []
        taken = values.append
        while True:
            try:
                for value in self._template.root_render_func(context):
                    taken(value)
            except UNFIT as exc:
                taken(unfit(len(values), exc))
            else:
                return values


def _compiled(statement: nodes.Stmt) -> Template:
    tree = nodes.Template([statement], lineno=1)
    tree.set_environment(_VALUES)
    return _VALUES.from_string(tree)
