"""What an Actor's folder says about it: its own `.actor/actor.json` (Apify, "Actor definition"), then `actor.yaml`.

`actor.yaml` is the emulator's: it overrides single fields, and describes Actors that have nothing else.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from emulator.commands import NoCommand, start_command
from emulator.errors import ApiError
from emulator.inputs import check_input_schema
from emulator.items.checks import check_schema
from emulator.scripts import Script
from emulator.settings import EmulatorError

SMALLEST_MEMORY, LARGEST_MEMORY, USUAL_MEMORY = 128, 32768, 1024
DEFINITION = Path(".actor", "actor.json")
OVERRIDES = Path("actor.yaml")
_INPUT_SCHEMAS = (Path(".actor", "INPUT_SCHEMA.json"), Path("INPUT_SCHEMA.json"))

Json = dict[str, Any]
Megabytes = Annotated[int, msgspec.Meta(ge=SMALLEST_MEMORY, le=LARGEST_MEMORY)]


class Manifest(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One Actor as its files describe it; the fields are those of `actor.yaml`.

    Attributes:
        command: the start command; `{python}` in it is the interpreter of the Actor.
        script: what a scripted Actor acts out instead of a command.
        input: an Apify input schema.
        datasets: the schema of each dataset of a run by alias; `default` is always there in a run, declared or not.
        store: the schema of the default key-value store.
        environment_variables: for its process; those of the platform win.
        timeout_secs: how long a run may take unless it asks for another time; 0 = no limit.
        memory_mbytes: what a run is given unless it asks for more or less.
        charged_events: price of each pay-per-event event in US dollars; empty: the Actor is free.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    command: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    script: Script | None = None
    title: str = ""
    description: str = ""
    version: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+$")] = "0.0"
    build_tag: Annotated[str, msgspec.Meta(min_length=1)] = "latest"
    input: Json | None = None
    datasets: dict[str, Json] = {}
    store: Json | None = None
    environment_variables: dict[str, str] = {}
    timeout_secs: Annotated[int, msgspec.Meta(ge=0)] = 3600
    memory_mbytes: Megabytes = USUAL_MEMORY
    min_memory_mbytes: Megabytes = SMALLEST_MEMORY
    max_memory_mbytes: Megabytes = LARGEST_MEMORY
    charged_events: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}


class _Collection(msgspec.Struct, rename="camel"):
    key: str | None = None
    key_prefix: str | None = None


class _StoreSchema(msgspec.Struct):
    """What is used of the schema of a key-value store."""

    collections: dict[str, _Collection] = {}


def is_actor(folder: Path) -> bool:
    """Whether the folder holds an Actor."""
    return (folder / DEFINITION).is_file() or (folder / OVERRIDES).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The Actor in this folder. Raises: EmulatorError that names the file and what to change."""
    if not is_actor(folder):
        raise EmulatorError(f"{folder} is not an Actor: it has neither {DEFINITION} nor {OVERRIDES}.")
    definition, overrides = _definition(folder), _overrides(folder)
    fields = {**_translated(folder, definition), **overrides}
    if not {"command", "script"} & fields.keys():
        fields["command"] = _command(folder, definition)
    try:
        manifest = msgspec.convert(fields, Manifest)
        _check_schemas(manifest)
        return manifest
    except ValueError as error:
        files = " with ".join(str(folder / file) for file in (DEFINITION, OVERRIDES) if (folder / file).is_file())
        raise EmulatorError(f"{files}: {error}") from error


def _check_schemas(manifest: Manifest) -> None:
    """What the platform would refuse to build. Raises: ValueError."""
    if manifest.input is not None:
        check_input_schema(manifest.input)
    for alias, schema in manifest.datasets.items():
        try:
            check_schema(schema)
        except ApiError as error:
            raise ValueError(f'{error.message} - of the dataset "{alias}"') from None
    try:
        msgspec.convert(manifest.store or {}, _StoreSchema)
    except msgspec.ValidationError as error:
        raise ValueError(f"The schema of the key-value store is invalid: {error}") from None


def _definition(folder: Path) -> Json:
    path = folder / DEFINITION
    definition = _json_file(path) if path.is_file() else {}
    for field, shape, called in (("dockerfile", str, "a path"), ("storages", dict, "an object")):
        if definition.get(field) is not None and not isinstance(definition[field], shape):
            raise EmulatorError(f"{path}: {field} must be {called}.")
    return definition


def _overrides(folder: Path) -> Json:
    path = folder / OVERRIDES
    if not path.is_file():
        return {}
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), Json)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EmulatorError(f"{path}: {error}") from error


def _command(folder: Path, definition: Json) -> list[str]:
    dockerfile = definition.get("dockerfile")
    try:
        return start_command(folder, folder / DEFINITION.parent / dockerfile if dockerfile else None)
    except NoCommand as error:
        example = 'command: ["{python}", "main.py"]'
        raise EmulatorError(f"{folder}: {error} Write it into {folder / OVERRIDES}, such as: {example}") from None


def _translated(folder: Path, definition: Json) -> Json:
    """The fields of `actor.json` that matter here, under our names."""
    read = _Schemas(folder)
    storages = definition.get("storages") or {}
    fields: Json = {name: definition[name] for name in _SAME if definition.get(name) is not None}
    fields |= _memory(definition)
    if (schema := _input(folder, definition, read)) is not None:
        fields["input"] = schema
    if "dataset" in storages:
        fields["datasets"] = {"default": read(storages["dataset"], "storages.dataset")}
    if "datasets" in storages:
        fields["datasets"] = _aliases(folder, storages["datasets"], read)
    if "keyValueStore" in storages:
        fields["store"] = read(storages["keyValueStore"], "storages.keyValueStore")
    return fields


_SAME = ("name", "title", "description", "version", "buildTag", "environmentVariables")


class _Schemas:
    """Reads schemas that stand in `actor.json` itself, or in a file beside it."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / DEFINITION.parent

    def __call__(self, given: object, field: str) -> Json:
        if isinstance(given, dict):
            return given
        if isinstance(given, str):
            return _json_file(self._home / given)
        raise EmulatorError(f"{self._home / DEFINITION.name}: {field} must be an object or the path of a JSON file.")


def _input(folder: Path, definition: Json, read: _Schemas) -> Json | None:
    for field in ("input", "inputSchema"):
        if definition.get(field) is not None:
            return read(definition[field], field)
    found = (folder / path for path in _INPUT_SCHEMAS if (folder / path).is_file())
    return next((_json_file(path) for path in found), None)


def _aliases(folder: Path, given: object, read: _Schemas) -> Json:
    if not isinstance(given, dict) or "default" not in given:
        raise EmulatorError(f'{folder / DEFINITION}: storages.datasets must be an object with a "default" dataset.')
    return {alias: read(schema, f"storages.datasets.{alias}") for alias, schema in given.items()}


def _memory(definition: Json) -> Json:
    """Numbers only: an expression that computes the memory from the input is left aside."""
    limits = {name: definition[name] for name in ("minMemoryMbytes", "maxMemoryMbytes") if _is_number(definition, name)}
    usual = definition["defaultMemoryMbytes"] if _is_number(definition, "defaultMemoryMbytes") else USUAL_MEMORY
    low, high = limits.get("minMemoryMbytes", SMALLEST_MEMORY), limits.get("maxMemoryMbytes", LARGEST_MEMORY)
    return {**limits, "memoryMbytes": max(low, min(usual, high))}


def _is_number(definition: Json, name: str) -> bool:
    return type(definition.get(name)) is int


def _json_file(path: Path) -> Json:
    try:
        found = json.loads(path.read_text("utf-8-sig"))  # its mistakes come with line and column
    except OSError as error:
        raise EmulatorError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise EmulatorError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise EmulatorError(f"{path}: this must be a JSON object.")
    return found
