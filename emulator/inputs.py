"""The input of a run, checked against the Actor's input schema (Apify, "Actor input schema")."""

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
from jsonschema import Draft7Validator, SchemaError, ValidationError
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has no types
from referencing.exceptions import Unresolvable

from emulator.errors import ApiError, invalid_input

Json = dict[str, Any]

# The words of the platform's own validator for each keyword; `{}` is the keyword's value.
_SAYINGS = {
    "type": "must be {}",
    "enum": "must be equal to one of the allowed values",
    "minimum": "must be >= {}",
    "maximum": "must be <= {}",
    "exclusiveMinimum": "must be > {}",
    "exclusiveMaximum": "must be < {}",
    "minLength": "must NOT have fewer than {} characters",
    "maxLength": "must NOT have more than {} characters",
    "minItems": "must NOT have fewer than {} items",
    "maxItems": "must NOT have more than {} items",
    "minProperties": "must NOT have fewer than {} properties",
    "maxProperties": "must NOT have more than {} properties",
    "uniqueItems": "must NOT have duplicate items",
    "pattern": 'must match pattern "{}"',
}


def check_input_schema(schema: Json) -> None:
    """Raises: ValueError that says where it is not an input schema."""
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"The input schema is invalid: {error.message} - at `{error.json_path}`") from None
    for name, field in schema.get("properties", {}).items():
        if not isinstance(field, dict):
            raise ValueError(f"The input schema is invalid: the field {name} must be an object.")


def checked_input(body: bytes, content_type: str, schema: Json | None) -> bytes:
    """The bytes to keep as INPUT: as sent, or with the schema's defaults filled in.

    Without a schema, and for content that is not JSON, any body is kept as it is. `prefill` is for forms and fills
    nothing here; secret fields are kept as given.
    Raises: ApiError 400 `invalid-input` that names the field.
    """
    if schema is None or not (_is_json(content_type) or not body):
        return body
    given = _decode(body)
    values = with_defaults(given, schema)
    if error := _first_error(values, schema):
        raise _refused(error)
    return body if values == given and body.strip() not in {b"", b"null"} else msgspec.json.encode(values)


def with_defaults(given: Json, schema: Json) -> Json:
    """The input plus the default of every field it leaves out."""
    properties = schema.get("properties", {})
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    return {**given, **{name: value for name, value in defaults.items() if name not in given}}


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _decode(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body or b"null", type=Json | None) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_input("Input is not valid: The input JSON must be an object.") from None


def _first_error(values: Json, schema: Json) -> ValidationError | None:
    """The error to tell: a field that is missing, else the first by name."""
    try:  # given a registry, it fetches no schema from the network
        errors = list(Draft7Validator(_plain(schema), registry=REGISTRY).iter_errors(values))
    except (re.error, Unresolvable) as error:
        raise invalid_input(f"The Actor's input schema cannot be used here: {error}.") from None
    return min(errors, key=lambda error: (error.validator != "required", _path(error)), default=None)


def _plain(schema: Any) -> Any:
    """The schema as JSON Schema: `nullable` is the platform's own word."""
    if not isinstance(schema, dict):  # true or false: anything or nothing
        return schema
    plain = {**schema, "properties": {name: _plain(field) for name, field in schema.get("properties", {}).items()}}
    if "items" in schema:
        plain["items"] = _plain(schema["items"])
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        plain["type"] = [schema["type"], "null"]
    if schema.get("nullable") and "enum" in schema:
        plain["enum"] = [*schema["enum"], None]
    return plain


def _refused(error: ValidationError) -> ApiError:
    field, why = _path(error), _why(error)
    if naming := _OF_A_FIELD.get(str(error.validator)):
        name, why = naming
        field = f"{field}.{name(cast(Json, error.instance), cast(Json, error.schema))}"
    return invalid_input(f"Input is not valid: Field {field} {why}")


def _path(error: ValidationError) -> str:
    return ".".join(["input", *map(str, error.absolute_path)])


def _why(error: ValidationError) -> str:
    value = error.validator_value
    saying = _SAYINGS.get(str(error.validator), "")
    if not saying:
        return str(error.message)
    words = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return saying.format(words)


def _missing(given: Json, schema: Json) -> str:
    return str(next(name for name in schema["required"] if name not in given))


def _extra(given: Json, schema: Json) -> str:
    return str(next(name for name in given if name not in schema["properties"]))


# Errors of an object that are told of one of its fields.
_OF_A_FIELD: dict[str, tuple[Callable[[Json, Json], str], str]] = {
    "required": (_missing, "is required"),
    "additionalProperties": (_extra, "is not allowed"),
}
