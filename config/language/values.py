"""Values of runrelay.yaml with templates in them, such as the `input:` of an Actor that is started."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from config.language.template import ROOTS, Template


class Value:
    """Any JSON value. Each text in it may hold `{{ … }}`: one that is nothing else keeps its type, so that
    `"{{ items }}"` is a list and `"{{ run.exitCode }}"` a number; with text around it, it prints. Keys stay as written.

    Usable as a pydantic field; a subclass may know more `names`. Raises ValueError for a template that is none.
    """

    names: ClassVar[frozenset[str]] = ROOTS
    __slots__ = ("_parts", "roots", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        try:
            self._parts = self._compiled(source)
            self.roots = frozenset[str]().union(*(template.roots for template in _templates(self._parts)))
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def render(self, scope: Mapping[str, Any]) -> Any:
        """The value for one run; a value of the scope is used as it is. Raises Permanent(template_failed)."""
        return _filled(self._parts, scope)

    @property
    def prints(self) -> bool:
        """Whether it is a text that is not a single `{{ … }}`: whatever the scope, it gives a text."""
        return isinstance(self.source, str) and not (isinstance(self._parts, Template) and self._parts.single)

    def _compiled(self, part: Any) -> Any:
        match part:
            case str() if "{" in part:
                return Template(part, self.names)
            case dict():
                return {key: self._compiled(inner) for key, inner in part.items()}
            case list():
                return [self._compiled(inner) for inner in part]
        return part

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and other.source == self.source

    def __hash__(self) -> int:
        return hash(repr(self.source))

    @classmethod
    def _of(cls, given: Any) -> Self:
        return given if isinstance(given, cls) else cls(given)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(lambda value: value.source)
        return core_schema.no_info_plain_validator_function(cls._of, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {}


def _filled(part: Any, scope: Mapping[str, Any]) -> Any:
    match part:
        case Template():
            return part.value(scope)
        case dict():
            return {key: _filled(inner, scope) for key, inner in part.items()}
        case list():
            return [_filled(inner, scope) for inner in part]
    return part


def _templates(part: Any) -> Iterator[Template]:
    match part:
        case Template():
            yield part
        case dict():
            for inner in part.values():
                yield from _templates(inner)
        case list():
            for inner in part:
                yield from _templates(inner)
