"""JSON Schema of runrelay.yaml, for editors: whatever loads fits it, and it knows every key of every type.

What depends on other parts of a file is left to `runrelay check`: a target may have the keys of any sink's type.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

from pydantic import BaseModel

from config import plugins
from config.cases import CaseShape
from config.include import PARTS
from config.shapes import (
    NAME_ADVICE,
    NAME_PATTERN,
    AlertsShape,
    AlertTargetShape,
    DefaultsShape,
    FileShape,
    RouteShape,
    SinkShape,
    SourceShape,
    TargetShape,
    UnmatchedShape,
)
from console.model_schema import DEFINITIONS, JsonObject, of

#: The name of the file that `runrelay init` writes and recipes refer to.
FILE = "runrelay.schema.json"

#: What a file must have, unless it is one that another includes.
_REQUIRED: JsonObject = {
    "if": {"anyOf": [{"required": [key]} for key in FileShape.model_fields if key not in PARTS]},
    "then": {
        "required": ["version", "sources"],
        "anyOf": [{"required": ["sinks", "routes"]}, {"required": ["include"]}],
    },
    "else": {"anyOf": [{"required": [key]} for key in PARTS]},
}
_DOTTED = r"^[A-Za-z_]\w*([.][A-Za-z_]\w*)+$"


@dataclass(frozen=True, slots=True)
class Type:
    """A type of sinks or of sources.

    Attributes:
        names: what it is called by, ours first.
        module: None if a package that it needs is not installed; then its options are not known.
    """

    names: tuple[str, ...]
    module: ModuleType | None


def schema(more: Iterable[str] = ()) -> JsonObject:
    """Of a whole file.

    more: dotted types of sinks whose options are to be known, too. Raises PluginMissing if there is no such module.
    """
    return _Schema(more).whole()


def modeline(name: str = FILE) -> str:
    """What an editor looks for in the first line of a file; `name` is that of the schema beside it."""
    return f"# yaml-language-server: $schema={name}"


class _Schema:
    """One document that grows by its definitions."""

    def __init__(self, more: Iterable[str]) -> None:
        self.definitions: JsonObject = dict(DEFINITIONS)
        self.sources = _types("config.sources", plugins.SOURCES, {})
        theirs = [Type((name,), plugins.load("workers.sinks", name, plugins.SINKS)) for name in more]
        self.sinks = [*_types("workers.sinks", plugins.SINKS, plugins.SYNONYMS), *theirs]

    def whole(self) -> JsonObject:
        file = self.of(FileShape)
        self.named(file, "sources", self.sources, "source", SourceShape)
        self.named(file, "sinks", self.sinks, "sink", SinkShape)
        self.targets("target", TargetShape, lambda _: True)
        self.targets("alert", AlertTargetShape, lambda module: getattr(module, "ALERTS", False))
        self.block(file, "defaults", self.of(DefaultsShape))
        self.block(file, "routes", self.route(), listed=True)
        self.block(file, "unmatched", self.to(self.of(UnmatchedShape), "target"))
        self.block(file, "alerts", self.to(self.of(AlertsShape), "alert"))
        self.block(file, "tests", self.of(CaseShape), listed=True)
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "runrelay.yaml",
            "description": "Which runs are wanted, what is read of them, and where it goes.",
        }
        del file["required"]
        return {**head, **file, **_REQUIRED, "$defs": self.definitions}

    def of(self, model: type[BaseModel], prefix: str = "") -> JsonObject:
        found, definitions = of(model, prefix)
        self.definitions |= definitions
        return found

    def route(self) -> JsonObject:
        route = self.to(self.of(RouteShape), "target")
        expect = self.definitions["expect"]
        expect["properties"]["else"]["items"] = {"$ref": "#/$defs/target"}
        return route

    def to(self, block: JsonObject, kind: str) -> JsonObject:
        """A block whose `to` lists targets of a kind."""
        block["properties"]["to"]["items"] = {"$ref": f"#/$defs/{kind}"}
        return block

    def block(self, file: JsonObject, key: str, schema: JsonObject, *, listed: bool = False) -> None:
        """Say what stands under a key of the file, or is listed there."""
        self.definitions[key] = schema
        property = file["properties"][key]
        for said in ("type", "additionalProperties"):
            property.pop(said, None) if not listed else None
        property.update({"items": {"$ref": f"#/$defs/{key}"}} if listed else {"$ref": f"#/$defs/{key}"})

    def named(self, file: JsonObject, key: str, types: list[Type], kind: str, shape: type[BaseModel]) -> None:
        """Sources or sinks by name, each of a type: that of `type:`, else that of its name."""
        common = self.of(shape)
        common["properties"]["type"] = self.type_of(types, common["properties"]["type"])
        for type in types:
            self.definitions[f"{kind}.{type.names[0]}"] = self.options(type, kind, common)
        self.definitions[f"{kind}_by_type"] = {
            "type": "object",
            "properties": {"type": common["properties"]["type"]},
            "allOf": [_if_type(type.names, {"$ref": f"#/$defs/{kind}.{type.names[0]}"}) for type in types],
        }
        by_type = {"$ref": f"#/$defs/{kind}_by_type"}
        file["properties"][key] |= {
            "propertyNames": {"pattern": f"^{NAME_PATTERN}$", "description": NAME_ADVICE},
            "properties": {
                name: _if({"required": ["type"]}, by_type, {"$ref": f"#/$defs/{kind}.{one.names[0]}"})
                for one in types
                for name in one.names
                if "." not in name
            },
            "additionalProperties": {**by_type, "required": ["type"]},
        }

    def type_of(self, types: list[Type], said: JsonObject) -> JsonObject:
        notes = {key: said[key] for key in ("description", "examples")}
        known = [name for type in types for name in type.names]
        anybodys = {"type": "string", "pattern": _DOTTED}
        return {**notes, "anyOf": [{"enum": known}, anybodys, {"$ref": "#/$defs/filled"}]}

    def options(self, type: Type, kind: str, common: JsonObject) -> JsonObject:
        """All keys of a sink or source of one type."""
        text = (type.module.__doc__ or "").strip().split("\n\n")[0] if type.module else "Not installed here."
        if type.module is None:
            return {"description": text, **common, "additionalProperties": True}
        own = self.of(type.module.Config, f"{kind}.{type.names[0]}.")
        type_first = {"type": common["properties"]["type"]}
        properties = {**type_first, **own.get("properties", {}), **common["properties"]}
        return {**own, "description": " ".join(text.split()), "properties": properties}

    def targets(self, kind: str, shape: type[BaseModel], wanted: Callable[[ModuleType], bool]) -> None:
        """Targets of any type: with the common keys and those of every sink's."""
        target = self.of(shape)
        variants: dict[str, list[tuple[str, JsonObject]]] = {}
        for type in self.sinks:
            if type.module is not None and wanted(type.module):
                own = self.of(type.module.Target, f"{kind}.{type.names[0]}.")
                for key, option in own.get("properties", {}).items():
                    variants.setdefault(key, []).append((type.names[0], option))
        own = {key: _any_of(options) for key, options in variants.items() if key not in target["properties"]}
        open_end = any(type.module is None for type in self.sinks)
        self.definitions[kind] = {
            **target,
            "properties": {**target["properties"], **own},
            "additionalProperties": open_end,
        }


def _types(package: str, group: str, synonyms: Mapping[str, str]) -> list[Type]:
    """Every type that needs no dot."""
    found = []
    for name in plugins.known(package, group):
        names = (name, *(synonym for synonym, meant in synonyms.items() if meant == name))
        try:
            found.append(Type(names, plugins.load(package, name, group)))
        except plugins.PluginMissing:
            if group == plugins.SINKS:
                found.append(Type(names, None))
    return found


def _if_type(names: tuple[str, ...], then: JsonObject) -> JsonObject:
    return _if({"required": ["type"], "properties": {"type": {"enum": list(names)}}}, then)


def _if(condition: JsonObject, then: JsonObject, otherwise: JsonObject | None = None) -> JsonObject:
    return {"if": condition, "then": then} | ({"else": otherwise} if otherwise else {})


def _any_of(options: list[tuple[str, JsonObject]]) -> JsonObject:
    """A key that means something to several types; each says what."""
    different: dict[str, tuple[JsonObject, list[str]]] = {}
    for type, option in options:
        different.setdefault(repr(option), (option, []))[1].append(type)
    named = [_of_types(option, types) for option, types in different.values()]
    if len(named) == 1:
        return named[0]
    return {"description": "\n\n".join(one["description"] for one in named), "anyOf": named}


def _of_types(option: JsonObject, types: list[str]) -> JsonObject:
    return {**option, "description": f"{', '.join(types)}: {option.get('description', '')}".removesuffix(": ")}
