"""JSON Schema for items (https://json-schema.org/, draft 2020-12 unless `$schema` names another)."""

from typing import Any, Self

import jsonschema_rs
import msgspec
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Characters of what is said of an item that does not fit.
_MOST_SAID = 200


class JsonSchema:
    """What an item must be like. Usable as a pydantic field: a mapping, or the same as JSON text, so that
    `schema: ${file:product.schema.json}` takes it from a file. Nothing is fetched: a `$ref` must lead to a part of it.

    Raises ValueError if it is no JSON Schema.
    """

    __slots__ = ("_validator", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        try:
            read = msgspec.json.decode(source) if isinstance(source, str) else source
            self._validator = jsonschema_rs.validator_for(read, retriever=_refuse)
        except (ValueError, msgspec.DecodeError) as exc:
            raise ValueError(f"not a JSON Schema: {str(exc).splitlines()[0]}") from None

    def objection(self, item: Any) -> str:
        """The field and the rule an item breaks first, without its content; empty if it fits."""
        if self._validator.is_valid(item):
            return ""
        error = next(self._validator.iter_errors(item))
        place = ".".join(str(step) for step in error.instance_path) or "the item"
        rule = "/".join(str(step) for step in error.schema_path)
        return f"{place} breaks {rule}"[:_MOST_SAID]

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


def _refuse(uri: str) -> Any:
    raise ValueError(f"`$ref: {uri}` leads elsewhere: put the schema itself here")
