"""Which calls the official client has, and which of them were made."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apify_client._resource_clients as families
import pytest


def _classes(kind: str) -> Iterator[type]:
    for module in pkgutil.iter_modules(families.__path__):
        held = importlib.import_module(f"{families.__name__}.{module.name}")
        suffix = "ClientAsync" if kind == "async" else "Client"
        here = [found for found in vars(held).values() if inspect.isclass(found) and found.__module__ == held.__name__]
        yield from (found for found in here if found.__name__.endswith(suffix))


def every_call(kind: str) -> set[str]:
    """`Family.method` of everything the official client can do, in this form."""
    return {f"{_family(cls)}.{name}" for cls in _classes(kind) for name in _methods(cls)}


def _family(cls: type) -> str:
    return cls.__name__.removesuffix("Async").removesuffix("Client")


def _methods(cls: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]


@contextmanager
def recorded(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of all calls that are made meanwhile."""
    made: set[str] = set()
    for cls in _classes(kind):
        for name in _methods(cls):
            monkeypatch.setattr(cls, name, _noted(getattr(cls, name), f"{_family(cls)}.{name}", made))
    yield made


def _noted(call: Callable[..., Any], name: str, made: set[str]) -> Callable[..., Any]:
    @functools.wraps(call)
    def noting(*args: Any, **options: Any) -> Any:
        made.add(name)
        return call(*args, **options)

    return noting
