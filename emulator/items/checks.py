"""Pushed items against the dataset's schema, with errors in the shape of AJV (Apify, "Dataset validation")."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft7Validator, SchemaError
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has no types
from referencing.exceptions import Unresolvable

from emulator.items.views import invalid_schema, views_of

_TEXTS = {
    "type": "must be {}",
    "enum": "must be equal to one of the allowed values",
    "const": "must be equal to constant",
    "pattern": 'must match pattern "{}"',
    "format": 'must match format "{}"',
    "minimum": "must be >= {}",
    "maximum": "must be <= {}",
    "exclusiveMinimum": "must be > {}",
    "exclusiveMaximum": "must be < {}",
    "multipleOf": "must be multiple of {}",
    "minLength": "must NOT have fewer than {} characters",
    "maxLength": "must NOT have more than {} characters",
    "minItems": "must NOT have fewer than {} items",
    "maxItems": "must NOT have more than {} items",
    "uniqueItems": "must NOT have duplicate items",
    "additionalProperties": "must NOT have additional properties",
}
_PARAMS = {"type": "type", "enum": "allowedValues", "const": "allowedValue", "pattern": "pattern", "format": "format"}


def fields_schema(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The JSON Schema of one item, if the dataset's schema has any."""
    fields = (schema or {}).get("fields")
    return fields if isinstance(fields, dict) and fields else None


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises: ApiError 400 if the dataset's schema cannot be used."""
    views_of(schema)
    if fields := fields_schema(schema):
        try:
            _validator_class(fields).check_schema(fields)
        except SchemaError as error:
            raise invalid_schema(error.message) from None


def invalid_items(rows: Iterable[bytes], fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows the schema refuses: `[{"itemPosition", "validationErrors": [AJV error]}]`, positions counted from 0.

    Raises: ApiError 400 if the schema cannot be used.
    """
    validator = _validator_class(fields)(fields, registry=REGISTRY)  # given one, it fetches no schema from the network
    invalid = []
    for position, row in enumerate(rows):
        if errors := _errors(validator, json.loads(row)):
            invalid.append({"itemPosition": position, "validationErrors": [_ajv(position, error) for error in errors]})
    return invalid


def _errors(validator: Any, item: Any) -> list[Any]:
    try:
        return sorted(validator.iter_errors(item), key=lambda error: str(error.json_path))
    except (re.error, Unresolvable) as error:  # a pattern or a reference that turns out to be none
        raise invalid_schema(str(error)) from None


def _validator_class(fields: dict[str, Any]) -> Any:
    return validator_for(fields, default=Draft7Validator)


def _ajv(position: int, error: Any) -> dict[str, Any]:
    keyword, expected = str(error.validator), error.validator_value
    message = _TEXTS.get(keyword, "must match the schema").format(_listed(expected))
    params = {_PARAMS.get(keyword, "limit"): expected}
    if keyword == "required":
        missing = next(name for name in expected if error.message.startswith(repr(name)))
        message, params = f"must have required property '{missing}'", {"missingProperty": missing}
    return {
        "instancePath": _pointer([position, *error.absolute_path]),
        "schemaPath": _pointer(["items", *error.absolute_schema_path]),
        "keyword": keyword,
        "params": params,
        "message": message,
    }


def _listed(expected: object) -> object:
    return ",".join(map(str, expected)) if isinstance(expected, list) else expected


def _pointer(path: Iterable[object]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
