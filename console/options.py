"""What can be said of the keys of a model, in the words of a file: kinds, defaults, examples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AnyUrl, BaseModel, BeforeValidator, HttpUrl, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.language.expression import Expression
from config.language.function import Function
from config.language.schema import JsonSchema
from config.language.template import Template
from config.language.values import Value
from config.shapes import listed
from config.units import octets, per_time, seconds, share

_UNITS = {seconds: "duration", octets: "size", per_time: "rate", share: "percentage"}
_UNIONS = {Union, UnionType}
_AMOUNTS = {"duration", "size", "rate"}
_WORDS: dict[Any, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "yes or no",
    Path: "path",
    SecretStr: "secret",
    AnyUrl: "URL",
    HttpUrl: "URL",
    Template: "template",
    Expression: "expression",
    Function: "function",
    JsonSchema: "JSON Schema",
    Value: "text or mapping",
    BaseModel: "block",
    dict: "mapping",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key.

    Attributes:
        name: as written; of a block in a block, `block.key`.
        kind: what may stand there, in a word or two.
        default: as written; None if it must be given.
        example: a line of a file; empty if there is none.
    """

    name: str
    kind: str
    default: str | None
    description: str
    example: str = ""


def options(model: type[BaseModel], before: str = "", given: BaseModel | None = None) -> Iterator[Option]:
    """Those that are required come first. given: says other defaults than the model."""
    for name, field in sorted(model.model_fields.items(), key=lambda field: not field[1].is_required()):
        key, info = f"{before}{field.alias or name}", field
        if given is not None and name in given.model_fields_set:
            info = FieldInfo.merge_field_infos(field, default=getattr(given, name))
        if kinds := kinds_of(info.annotation):
            yield option(key, info)
            yield from _of_kinds(kinds, key)
            continue
        inner = block(info.annotation)
        if inner is None or info.description:
            yield option(key, info)
        if inner is not None:
            yield from options(inner, f"{key}.", info.default if isinstance(info.default, BaseModel) else None)


def _of_kinds(kinds: dict[str, type[BaseModel]], key: str) -> Iterator[Option]:
    """The keys beside the one that says which kind it is; each says in front of which kinds it is one."""
    found: dict[Option, list[str]] = {}
    for kind, model in kinds.items():
        for one in options(model, f"{key}."):
            if one.name != f"{key}.{_word_of(model)}":
                found.setdefault(one, []).append(kind)
    for one, of in found.items():
        yield replace(one, description=f"{', '.join(of)}: {one.description}")


def option(key: str, info: FieldInfo) -> Option:
    """What can be said of one field."""
    description = " ".join((info.description or "").split())
    return Option(key, _kind(info), _default(info), description, str(info.examples[0]) if info.examples else "")


def default(info: FieldInfo) -> Any:
    """What holds where the key is left out, as a file would have it; None if that is nothing, or the key is required.

    A field that is filled in elsewhere says so in its `json_schema_extra`.
    """
    if isinstance(info.json_schema_extra, dict) and "default" in info.json_schema_extra:
        return info.json_schema_extra["default"]
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel) and kinds_of(info.annotation):
        return getattr(value, _word_of(type(value)))
    if value is PydanticUndefined or isinstance(value, BaseModel) or value in ("", (), [], {}, frozenset()):
        return None
    unit = _kind(info)
    return amount(value, unit) if unit in _AMOUNTS and value is not None else value


def block(annotation: Any) -> type[BaseModel] | None:
    """The model of a block of options."""
    if get_origin(annotation) in _UNIONS:
        return next(filter(None, map(block, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def kinds_of(annotation: Any) -> dict[str, type[BaseModel]]:
    """Of a block of several kinds the model of each, by the word that one of its keys has; empty for all others."""
    if hasattr(annotation, "__metadata__"):
        return kinds_of(get_args(annotation)[0])
    inner = [one for one in get_args(annotation) if one is not NoneType] if get_origin(annotation) in _UNIONS else []
    if len(inner) == 1:
        return kinds_of(inner[0])
    if not all(isinstance(one, type) and issubclass(one, BaseModel) and _word_of(one) for one in inner):
        return {}
    return {get_args(one.model_fields[_word_of(one)].annotation)[0]: one for one in inner}


def _word_of(model: type[BaseModel]) -> str:
    """The key that says which kind it is; empty if none does."""
    fields = model.model_fields.items()
    return next((key for key, info in fields if info.is_required() and len(_literal(info)) == 1), "")


def _literal(info: FieldInfo) -> tuple[Any, ...]:
    return get_args(info.annotation) if get_origin(info.annotation) is Literal else ()


def _kind(info: FieldInfo) -> str:
    if kinds := kinds_of(info.annotation):
        return f"{' · '.join(f'`{kind}`' for kind in kinds)} or block"
    for constraint in info.metadata:
        if isinstance(constraint, BeforeValidator) and constraint.func in _UNITS:
            return _UNITS[constraint.func]
        if isinstance(constraint, BeforeValidator) and constraint.func is listed:
            return f"{_word(get_args(info.annotation)[0])} or list"
    return _word(info.annotation)


def _word(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " · ".join(f"`{_written(one)}`" for one in inner)
    if origin in _UNIONS:
        return " or ".join(dict.fromkeys(_word(one) for one in inner if one is not NoneType))
    if hasattr(annotation, "__metadata__"):
        return _kind(FieldInfo.from_annotation(annotation))
    if origin in {tuple, list, frozenset, set}:
        return f"list of {_many(_word(inner[0]))}" if inner and inner[0] is not Any else "list"
    if origin is dict and inner[1] is not Any:
        return f"mapping of {_many(_word(inner[1]))}"
    known = (annotation, *getattr(annotation, "__mro__", ()))
    return next((_WORDS[one] for one in known if one in _WORDS), getattr(annotation, "__name__", "value").lower())


def _many(word: str) -> str:
    return f"{word}s" if word.isalpha() else word


def _default(info: FieldInfo) -> str | None:
    if info.is_required():
        return None
    value = default(info)
    return "" if value is None else _written(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)


def amount(value: Any, unit: str) -> str:
    """As somebody would write it."""
    if unit == "rate":
        return f"{value.many}/{amount(value.seconds, 'duration')}".replace("/1s", "/s")
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if unit == "duration" else ()
    units = units or (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))
    for name, size in units:
        if value >= size and value % size == 0:
            return f"{int(value // size)}{name}"
    return f"{round(value * 1000)}ms" if unit == "duration" and value else f"{value:g}"
