"""Finds the module that a `type:` names. There is no list of sinks or sources anywhere: a module is there or not."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import get_args

from config.contracts.delivery import Send
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.nearest import guess

SINKS = "runrelay.sinks"
SOURCES = "runrelay.sources"
#: Other names of our types.
SYNONYMS = {
    "postgresql": "postgres",
    "mariadb": "mysql",
    "s3": "object_store",
    "gcs": "object_store",
    "azure": "object_store",
}
_PARTS = {SINKS: ("Config", "Target", "TAKES", "connect"), SOURCES: ("Config", "connect")}


class PluginMissing(ConfigInvalid):
    """No usable module of that type. `message` says which there are, or what to install."""

    def __init__(self, message: str) -> None:
        super().__init__([Problem(message)])
        self.message = message


def load(package: str, type: str, group: str) -> ModuleType:
    """The module of that type.

    Args:
        package: where ours are, e.g. `workers.sinks`.
        type: one of ours, the name of an entry point, or a dotted name of anybody's module.
        group: entry points to look in, `runrelay.sinks` or `runrelay.sources`; fixes what a module must have.

    Raises PluginMissing.
    """
    type = SYNONYMS.get(type, type) if group == SINKS else type
    module = _import(_target(package, type, group), type, ours=_is_ours(package, type))
    lacking = [part for part in _PARTS[group] if not hasattr(module, part)]
    if lacking:
        raise PluginMissing(f"the module `{module.__name__}` cannot be used: it lacks {_listed(lacking)}")
    if group == SINKS and not set(module.TAKES) <= set(get_args(Send)):
        raise PluginMissing(f"the module `{module.__name__}` cannot be used: TAKES has words other than {_SENDS}")
    return module


def known(package: str, group: str) -> list[str]:
    """Every type that needs no dot, ours and those of installed packages."""
    ours = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    theirs = [entry.name for entry in entry_points(group=group)]
    return sorted({name for name in ours + theirs if not name.startswith("_")})


def _target(package: str, type: str, group: str) -> str:
    if "." in type and all(part.isidentifier() for part in type.split(".")):
        return type
    if _is_ours(package, type):
        return f"{package}.{type}"
    for entry in entry_points(group=group, name=type):
        return entry.module
    further = "; any other platform: `type: generic`" if group == SOURCES else ""
    raise PluginMissing(_unknown(type, known(package, group)) + further)


def _is_ours(package: str, type: str) -> bool:
    return type.isidentifier() and not type.startswith("_") and bool(importlib.util.find_spec(f"{package}.{type}"))


def _import(name: str, type: str, *, ours: bool) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if f"{name}.".startswith(f"{missing}."):
            raise PluginMissing(f"there is no module `{name}`: install it, or mend the name") from None
        remedy = f"pip install 'runrelay[{type}]'" if ours else "install it"
        raise PluginMissing(f"`{type}` needs the package `{missing}`, which is not installed: {remedy}") from None
    except Exception as exc:
        raise PluginMissing(f"the module `{name}` fails to load: {exc.__class__.__name__}: {exc}") from exc


def _unknown(type: str, types: Sequence[str]) -> str:
    return f"there is no type `{type}`: {guess(type, types)}known are {', '.join(types) or 'none'}"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(f"`{part}`" for part in parts)


_SENDS = _listed(get_args(Send))
