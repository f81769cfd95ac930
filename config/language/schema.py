"""JSON Schema for items (https://json-schema.org/, draft 2020-12 unless `$schema` names another)."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

import jsonschema_rs
import msgspec
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Characters of what is said of an item that does not fit, and of a rule in it.
_MOST_SAID, _MOST_RULE = 200, 80
#: A pattern that tries more than this at one text does not fit it: half a millisecond. Most patterns never try twice.
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000, size_limit=2**20, dfa_size_limit=2**20)
_ELSEWHERE = "leads elsewhere"
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


class JsonSchema:
    """What an item must be like. Usable as a pydantic field: a mapping, or the same as JSON text, so that
    `schema: ${file:product.schema.json}` takes it from a file. Nothing is fetched: a `$ref` must lead to a part of it.

    Raises ValueError if it is no JSON Schema.
    """

    __slots__ = ("_names", "_read", "_validator", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        try:
            read = msgspec.json.decode(source) if isinstance(source, str) else source
            self._validator = jsonschema_rs.validator_for(read, retriever=_refuse, pattern_options=_PATTERNS)
        except msgspec.DecodeError:
            raise ValueError("not a JSON Schema: write it here, or take it from a file: ${file:NAME}") from None
        except ValueError as exc:
            raise ValueError(f"not a JSON Schema: {_why(exc)}") from None
        except RecursionError:
            raise ValueError("not a JSON Schema that can be used: it is nested too deeply") from None
        self._read, self._names = read, frozenset(_names(read))

    def objection(self, item: Any) -> str:
        """The field and the rule an item breaks first, in the schema's words and none of its own; empty if it fits."""
        if self._validator.is_valid(item):
            return ""
        error = next(self._validator.iter_errors(item))
        # A name that the schema does not say is the item's own.
        place = ".".join(str(step) if step in self._names else "*" for step in error.instance_path)
        return f"{place or 'the item'} breaks {self._rule(error.schema_path)}"[:_MOST_SAID]

    def _rule(self, steps: Sequence[str | int]) -> str:
        """`properties/price/type: "number"`."""
        found, name = self._read, "/".join(map(str, steps))
        with suppress(LookupError, TypeError):  # a part with an `$id` of its own, whose rules count from there
            for step in steps:
                found = found[step]
            return f"{name}: {msgspec.json.encode(found).decode()[:_MOST_RULE]}".removeprefix(": ")
        return name

    def __repr__(self) -> str:
        return f"JsonSchema({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonSchema) and other.source == self.source

    def __hash__(self) -> int:
        return hash(repr(self.source))

    @classmethod
    def _of(cls, given: Any) -> Self:
        return given if isinstance(given, cls) else cls(given)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(lambda schema: schema.source)
        return core_schema.no_info_plain_validator_function(cls._of, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": ["object", "string", "boolean"]}


def _names(schema: Any) -> Iterator[str]:
    """Every name it says anywhere."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict):
        yield from schema
    for one in inside:
        yield from _names(one)


def _why(exc: ValueError) -> str:
    """What is wrong with a schema, and where in it."""
    if not isinstance(exc, jsonschema_rs.ValidationError):
        return str(exc).splitlines()[0]
    said, place = exc.message, ".".join(str(step) for step in exc.instance_path)
    if _ELSEWHERE in said:
        return said[said.index("`$ref") :]
    if place.rpartition(".")[2] == "type":
        said = f"{said.partition(' is not')[0]} is no type: there are {', '.join(_TYPES)}"
    return f"`{place}`: {said}" if place else said


def _refuse(uri: str) -> Any:
    raise ValueError(f"`$ref: {uri}` {_ELSEWHERE}: put the schema itself here")
