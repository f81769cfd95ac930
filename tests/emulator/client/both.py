"""The official client in its two forms behind one way to call it, and a record of which of its calls were made."""

import asyncio
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apify_client._resource_clients as families
import pytest
from apify_client import ApifyClient, ApifyClientAsync


class Client:
    """Calls whichever form of the official client it was given, without blocking the loop the emulator runs in."""

    def __init__(self, official: Any) -> None:
        self.official = official

    def __getattr__(self, name: str) -> Any:
        return getattr(self.official, name)

    async def do(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The result of one call."""
        if isinstance(self.official, ApifyClient):
            return await asyncio.to_thread(call, *args, **options)
        result = call(*args, **options)
        return await result if inspect.isawaitable(result) else result

    async def all(self, things: Any) -> list[Any]:
        """Everything an iterator of the client gives."""
        if isinstance(self.official, ApifyClient):
            return await asyncio.to_thread(list, things)
        return [thing async for thing in things]

    async def read(self, opened: Any, take: Callable[[Any], Any] = lambda response: response) -> bytes:
        """The bytes of a stream of the client."""
        if isinstance(self.official, ApifyClient):

            def drain() -> bytes:
                with opened as response:
                    return b"".join(take(response).iter_bytes())

            return await asyncio.to_thread(drain)
        async with opened as response:
            return b"".join([piece async for piece in take(response).aiter_bytes()])


CLIENTS = {"sync": ApifyClient, "async": ApifyClientAsync}


def connect(kind: str, url: str, token: str = "t") -> Client:
    return Client(CLIENTS[kind](token, api_url=url, api_public_url=url, max_retries=1))


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
