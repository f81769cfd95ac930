"""JSON Schema of a model as a file has it: amounts with their units, one value for a list of one, and text with
`${…}` wherever text, a number or a truth value may be, since that is filled in before anything is looked at.
"""

from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from yamlcore import CCoreLoader

from console.options import default

JsonObject = dict[str, Any]

#: What every document has under `$defs` that uses `of`.
DEFINITIONS: JsonObject = {
    # Text with a `${…}` in it.
    "filled": {"type": "string", "pattern": r"\$\{"},
    # What is taken for a number.
    "number": {
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[-+]?[0-9.][-+0-9_.eE]*\s*$"},
            {"$ref": "#/$defs/filled"},
            {"$ref": "#/$defs/truth"},
        ],
    },
    # What is taken for a truth value.
    "switch": {
        "anyOf": [
            {
                "type": "string",
                "pattern": "^([01tfynTFYN]|[oO][nN]|[oO][fF][fF]|[nN][oO]|[yY][eE][sS]|[tT][rR][uU][eE]"
                "|[fF][aA][lL][sS][eE])$",
            },
            {"$ref": "#/$defs/filled"},
            {"not": {"anyOf": [{"type": ["string", "object", "array", "null"]}, {"minimum": 2}, {"maximum": -1}]}},
        ],
    },
    # Said in this way, no editor offers `true` where a number is meant.
    "truth": {"not": {"type": ["string", "number", "object", "array", "null"]}},
}
_NOTES = ("description", "default", "examples", "deprecated")


def of(model: type[BaseModel], prefix: str = "") -> tuple[JsonObject, JsonObject]:
    """The schema of a model, and what it refers to: definitions, each with the prefix before its name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}", schema_generator=_Generator)
    definitions = {_named(f"{prefix}{name}"): _as_written(part) for name, part in schema.pop("$defs", {}).items()}
    return _as_written(schema), definitions


def _named(definition: str) -> str:
    """As editors show it to people: `expected an only`, not `an OnlyShape`."""
    return definition.removesuffix("Shape").lower()


class _Generator(GenerateJsonSchema):
    """Leaves out what says nothing to a person: titles, null, formats, and values as they are inside."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Nothing is null in a file: then the key is left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """What is made a list before it is looked at may stand alone."""
        if "json_schema_input_schema" in schema:
            return self.generate_inner(schema["json_schema_input_schema"])
        inner = self.generate_inner(schema["schema"])
        if (union := schema["schema"])["type"] == "tagged-union":
            return {"anyOf": [{"type": "string", "enum": _words(union)}, *inner["anyOf"]]}
        if inner.get("type") == "array" and isinstance(inner.get("items"), dict):
            return {"anyOf": [inner["items"], inner]}
        return inner

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """A reference for the word that tells the kinds apart may stand for any."""
        return {"anyOf": [self.generate_inner(choice) for choice in schema["choices"].values()]}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        for told_elsewhere in ("title", "description"):
            made.pop(told_elsewhere, None)
        made["properties"] = {
            key: _described(made["properties"][key], info) for key, info in _own_first(schema["cls"]).items()
        }
        return made


def _words(union: Any) -> list[str]:
    """The kinds that need nothing but their word, which may then stand for the block."""
    return [str(word) for word, choice in union["choices"].items() if _required(choice) == {union["discriminator"]}]


def _required(model: Any) -> set[str]:
    fields = model["schema"]["fields"] if model["type"] == "model" else {}
    return {key for key, field in fields.items() if field["schema"]["type"] != "default"}


def _own_first(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by their keys; those that the model inherits come last."""
    fields = sorted(model.model_fields.items(), key=lambda field: field[0] not in model.__annotations__)
    return {info.alias or name: info for name, info in fields}


def _described(schema: JsonObject, info: FieldInfo) -> JsonObject:
    said = {key: value for key, value in schema.items() if key not in {"title", *_NOTES}}
    held = _plain(default(info)) if default(info) is not None else _block(info.default)
    notes = {"description": " ".join((info.description or "").split()), "default": held}
    if info.examples:
        notes["examples"] = [_value(str(line), info) for line in info.examples]
    return {**{key: value for key, value in notes.items() if value not in (None, "")}, **said}


def _block(value: Any) -> JsonObject | None:
    """What a block is filled with that nobody writes, where that is not what its own keys say."""
    if not isinstance(value, BaseModel):
        return None
    fields = ((name, type(value).model_fields[name]) for name in value.model_fields_set)
    said = {
        info.alias or name: FieldInfo.merge_field_infos(info, default=getattr(value, name)) for name, info in fields
    }
    return {key: _plain(default(info)) for key, info in said.items()} or None


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, tuple | list | frozenset):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str | dict) else str(value)


def _value(line: str, info: FieldInfo) -> Any:
    """What an example, a line of a file, says of its key."""
    value = yaml.load(line, CCoreLoader)  # noqa: S506  # the safe loader, of the types that JSON has
    return next(iter(value.values())) if isinstance(value, dict) and ": " in line else value


def _as_written(schema: Any) -> Any:
    """The same for what stands in a file instead of text, numbers and truth values."""
    if isinstance(schema, list):
        return [_as_written(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    notes = {key: schema[key] for key in _NOTES if key in schema}
    rest = {key: value for key, value in schema.items() if key not in {*_NOTES, "title", "writeOnly"}}
    return {**notes, **_loosened(_inside(_counted(rest)))}


def _counted(schema: JsonObject) -> JsonObject:
    """Bounds of a list that may be one value, which pydantic takes for bounds of a text."""
    bounds = {f"{side}Items": schema[f"{side}Length"] for side in ("min", "max") if f"{side}Length" in schema}
    if not bounds or not any(one.get("type") == "array" for one in schema.get("anyOf", [])):
        return schema
    lists = [{**one, **bounds} if one.get("type") == "array" else one for one in schema["anyOf"]]
    return {key: value for key, value in schema.items() if not key.endswith("Length")} | {"anyOf": lists}


def _inside(schema: JsonObject) -> JsonObject:
    """With all schemas that stand in it written anew."""
    found = dict(schema)
    if "$ref" in found:
        found["$ref"] = _named(found["$ref"])
    for key in ("properties", "patternProperties"):
        if key in found:
            found[key] = {name: _as_written(part) for name, part in found[key].items()}
    for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems"):
        if key in found:
            found[key] = _as_written(found[key])
    return found


def _loosened(schema: JsonObject) -> JsonObject:
    match schema.get("type"):
        case "integer" if "const" in schema:
            return {"anyOf": [schema, {"$ref": "#/$defs/truth"}]}
        case "integer" | "number":
            return {"anyOf": [schema, {"$ref": "#/$defs/number"}]}
        case "boolean":
            return {"anyOf": [schema, {"$ref": "#/$defs/switch"}]}
        case "string":
            # Editors hold `${DATABASE_URL}` against the format of a URL.
            kept = {key: value for key, value in schema.items() if key != "format" or value == "jinja2"}
            bound = {"enum", "const", "pattern", "minLength", "maxLength"} & kept.keys()
            return {"anyOf": [kept, {"$ref": "#/$defs/filled"}]} if bound else kept
    return schema
