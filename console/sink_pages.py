"""What can be said of every sink: from its docstring, its options and its `ABOUT`, so that no page lags behind."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AnyUrl, BaseModel, BeforeValidator, HttpUrl, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config import plugins
from config.contracts.sink import About
from config.language.template import Template
from config.language.values import Value
from config.units import octets, per_time, seconds, share

_UNITS = {seconds: "duration", octets: "size", per_time: "rate", share: "percentage"}
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
    """

    name: str
    kind: str
    default: str | None
    description: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything of one type of sink.

    Attributes:
        type: what `type:` names.
        text: the module's docstring.
        takes: the streams it can take, in order.
        missing: what to install before it can be used; then its options are not known.
    """

    type: str
    text: str
    takes: tuple[str, ...] = ()
    alerts: bool = False
    about: About | None = None
    config: tuple[Option, ...] = ()
    target: tuple[Option, ...] = ()
    missing: str = ""

    @property
    def summary(self) -> str:
        """Its first sentence."""
        return self.text.split(". ")[0].split("\n\n")[0].replace("\n", " ").rstrip(".") + "."


def pages() -> list[Page]:
    """Every type that needs no dot, in alphabetical order; those that cannot be loaded say what they need."""
    return [page(name) for name in plugins.known("workers.sinks", plugins.SINKS)]


def page(type: str) -> Page:
    """Raises PluginMissing if there is no such type."""
    name = plugins.SYNONYMS.get(type, type)
    if name not in plugins.known("workers.sinks", plugins.SINKS):
        plugins.load("workers.sinks", type, plugins.SINKS)
    try:
        return _of(name, plugins.load("workers.sinks", type, plugins.SINKS))
    except plugins.PluginMissing as exc:
        return _read(name, exc.message)


def _read(type: str, missing: str) -> Page:
    """What the source of one of ours says, which cannot be imported."""
    spec = find_spec(f"workers.sinks.{type}")
    if spec is None or spec.origin is None:
        return Page(type, "", missing=missing)
    source = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return Page(type, ast.get_docstring(source) or "", about=_written_about(source), missing=missing)


def _written_about(source: ast.Module) -> About | None:
    """Its `ABOUT`, whose parts are literals."""
    for one in source.body:
        match one:
            case ast.Assign(targets=[ast.Name("ABOUT")], value=ast.Call(keywords=parts)):
                return About(**{str(part.arg): ast.literal_eval(part.value) for part in parts})
    return None


def _of(type: str, module: ModuleType) -> Page:
    order = ("items", "records", "requests", "run", "log")
    return Page(
        type=type,
        text=inspect.cleandoc(module.__doc__ or ""),
        takes=tuple(stream for stream in order if stream in module.TAKES),
        alerts=getattr(module, "ALERTS", False),
        about=getattr(module, "ABOUT", None),
        config=tuple(_options(module.Config)),
        target=tuple(_options(module.Target)),
    )


def _options(model: type[BaseModel], before: str = "") -> Iterator[Option]:
    """Those that are required come first."""
    for name, info in sorted(model.model_fields.items(), key=lambda field: not field[1].is_required()):
        key = f"{before}{info.alias or name}"
        inner = _block(info.annotation)
        if inner is None or info.description:
            yield Option(key, _kind(info), _default(info), " ".join((info.description or "").split()))
        if inner is not None:
            yield from _options(inner, f"{key}.")


def _block(annotation: Any) -> type[BaseModel] | None:
    """The model of a block of options."""
    if get_origin(annotation) in {Union, UnionType}:
        return next(filter(None, map(_block, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _kind(info: FieldInfo) -> str:
    for constraint in info.metadata:
        if isinstance(constraint, BeforeValidator) and constraint.func in _UNITS:
            return _UNITS[constraint.func]
    return _word(info.annotation)


def _word(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " · ".join(f"`{_written(one)}`" for one in inner)
    if origin in {Union, UnionType}:
        return " or ".join(dict.fromkeys(_word(one) for one in inner if one is not NoneType))
    if hasattr(annotation, "__metadata__"):
        return _kind(FieldInfo.from_annotation(annotation))
    if origin in {tuple, list, frozenset, set}:
        return f"list of {_many(_word(inner[0]))}" if inner else "list"
    if origin is dict:
        return f"mapping of {_many(_word(inner[1]))}"
    known = (annotation, *getattr(annotation, "__mro__", ()))
    return next((_WORDS[one] for one in known if one in _WORDS), getattr(annotation, "__name__", "value").lower())


def _many(word: str) -> str:
    return f"{word}s" if word.isalpha() else word


def _default(info: FieldInfo) -> str | None:
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True, validated_data={})
    if (
        value is PydanticUndefined
        or value is None
        or value in ("", (), {}, frozenset())
        or isinstance(value, BaseModel)
    ):
        return ""
    unit = _kind(info)
    if unit in {"duration", "size", "rate"}:
        return _amount(value, unit)
    return _written(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)


def _amount(value: Any, unit: str) -> str:
    """As somebody would write it."""
    if unit == "rate":
        return f"{value.many}/{_amount(value.seconds, 'duration')}".replace("/1s", "/s")
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if unit == "duration" else ()
    units = units or (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))
    for name, size in units:
        if value >= size and value % size == 0:
            return f"{int(value // size)}{name}"
    return f"{round(value * 1000)}ms" if unit == "duration" and value else str(value)
