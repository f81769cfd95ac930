"""Expressions of runrelay.yaml: what could stand between `{{` and `}}`, asked of many items at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.filled import put_into
from config.language.operators import key, plain, why
from config.language.sandbox import UNFIT, Loop, One, dotted, read_expression, together
from config.language.template import ROOTS, shortened


class Clash(NamedTuple):
    """Values of one item did not fit an expression.

    Attributes:
        why: one line that holds nothing of the item.
        instead: of `Columns` all values, with null for those that did not fit.
    """

    why: str
    instead: Mapping[str, Any] | None = None


class Expression:
    """A condition or a value, for instance `item.price | number > 10`. What is missing is null, and null is quiet.
    Usable as a pydantic field; `str()` is its source.

    Raises ValueError if it cannot be understood, or begins with a name or uses a filter that does not exist. A subclass
    may know other `names`.

    Attributes:
        path: its keys, if it is nothing but a path such as `item.seller.name`.
        roots: the names it begins with.
    """

    names: ClassVar[frozenset[str]] = ROOTS | {"item"}
    __slots__ = ("_loops", "_one", "node", "path", "roots", "source")

    def __init__(self, source: str, names: Collection[str] | None = None) -> None:
        self.source = source
        with put_into(source, braced=False):
            self.node, self.roots = read_expression(source, self.names if names is None else names)
        self.path = dotted(self.node)
        self._one: One | None = None
        self._loops: dict[str, Loop] = {}

    def value(self, scope: Mapping[str, Any]) -> Any:
        """What it stands for, as JSON has it. Raises Permanent(template_failed) if values do not fit."""
        if self.path:
            return _picked([scope], self.path)[0]
        self._one = self._one or One(self.node, self.roots)
        try:
            return plain(self._one.value(scope))
        except UNFIT as exc:
            raise Permanent(Reason.TEMPLATE_FAILED, f"{shortened(self.source)}: {why(exc)}") from None

    def each(self, items: Sequence[Any], scope: Mapping[str, Any], under: str = "item") -> list[Any]:
        """What it stands for with each item in turn; a Clash for an item whose values do not fit.

        under: the name that the item has.
        """
        if self.path and self.path[0] == under:
            return _picked(items, self.path[1:])
        loop = self._loops.get(under)
        if loop is None:
            loop = self._loops[under] = Loop(self.node, self.roots, under)
        return loop.each(items, scope, _clash)

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @classmethod
    def _of(cls, given: Any) -> Self:
        if isinstance(given, cls):
            return given
        if not isinstance(given, str):
            raise PydanticCustomError("expression_type", "Input should be an expression: text such as `item.price`")
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


class Columns:
    """Several expressions that are asked of the same items, together in one loop."""

    __slots__ = ("_loops", "_node", "_roots", "expressions")

    def __init__(self, expressions: Mapping[str, Expression]) -> None:
        self.expressions = dict(expressions)
        self._node = together({name: expression.node for name, expression in expressions.items()})
        self._roots = frozenset[str]().union(*(expression.roots for expression in expressions.values()))
        self._loops: dict[str, Loop] = {}

    def each(self, items: Sequence[Any], scope: Mapping[str, Any], under: str = "item") -> list[dict[str, Any] | Clash]:
        """An object of all values for each item; a Clash, with the name in front, where one of them does not fit."""
        loop = self._loops.get(under)
        if loop is None:
            loop = self._loops[under] = Loop(self._node, self._roots, under)
        return loop.each(items, scope, lambda index, exc: self._clash(items[index], scope, under, exc))

    def _clash(self, item: Any, scope: Mapping[str, Any], under: str, exc: Exception) -> Clash:
        alone = {name: expression.each([item], scope, under)[0] for name, expression in self.expressions.items()}
        said = [f"{name}: {value.why}" for name, value in alone.items() if isinstance(value, Clash)]
        fitting = {name: None if isinstance(value, Clash) else value for name, value in alone.items()}
        return Clash(said[0] if said else why(exc), fitting)


def _picked(items: Sequence[Any], keys: tuple[str, ...]) -> list[Any]:
    values: list[Any] = list(items)
    for name in keys:
        values = [value.get(name) if value.__class__ is dict else key(value, name) for value in values]
    return [plain(value) for value in values]


def _clash(_index: int, exc: Exception) -> Clash:
    return Clash(why(exc))
