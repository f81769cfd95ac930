"""The input of a run, checked against the Actor's input schema (Apify, "Actor input schema")."""

import operator
from typing import Any

import msgspec

from emulator.errors import ApiError, invalid_input

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_BOUNDS = (
    ("minimum", ">=", operator.ge),
    ("maximum", "<=", operator.le),
    ("exclusiveMinimum", ">", operator.gt),
    ("exclusiveMaximum", "<", operator.lt),
)


def checked_input(body: bytes, content_type: str, schema: dict[str, Any] | None) -> bytes:
    """The bytes to keep as INPUT: as sent, or with the schema's defaults filled in.

    Without a schema, and for content that is not JSON, any body is kept as it is.
    Raises: ApiError 400 `invalid-input` that names the field.
    """
    if schema is None or not (_is_json(content_type) or not body):
        return body
    given = _decode(body)
    values = with_defaults(given, schema)
    for name in schema.get("required", []):
        if name not in values:
            raise _refused(f"input.{name}", "is required")
    properties = schema.get("properties", {})
    for name, value in values.items():
        if name not in properties and schema.get("additionalProperties") is False:
            raise _refused(f"input.{name}", "is not allowed")
        _check(f"input.{name}", value, properties.get(name, {}))
    return body if values == given and body.strip() not in {b"", b"null"} else msgspec.json.encode(values)


def with_defaults(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The input plus the default of every field it leaves out."""
    properties = schema.get("properties", {})
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    return {**given, **{name: value for name, value in defaults.items() if name not in given}}


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"null", type=dict[str, Any] | None) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_input("Input is not valid: The input JSON must be an object.") from None


def _check(path: str, value: Any, field: dict[str, Any]) -> None:
    if value is None and field.get("nullable"):
        return
    kind = field.get("type")
    if kind in _TYPES and not _has_type(value, kind):
        raise _refused(path, f"must be {kind}")
    if "enum" in field and value not in field["enum"]:
        raise _refused(path, "must be equal to one of the allowed values")
    if isinstance(value, int | float):
        for keyword, sign, holds in _BOUNDS:
            if keyword in field and not holds(value, field[keyword]):
                raise _refused(path, f"must be {sign} {field[keyword]}")


def _refused(path: str, why: str) -> ApiError:
    return invalid_input(f"Input is not valid: Field {path} {why}")


def _has_type(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
