"""Both official clients behind one face, so that a test speaks through either."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from typing import Any

from apify_client import ApifyClient, ApifyClientAsync

KINDS = ("async", "sync")


def client_of(kind: str, url: str, token: str = "t") -> Any:
    """The official client of this kind; what asks the API is awaited, whichever it is."""
    if kind == "async":
        return ApifyClientAsync(token, api_url=url, api_public_url=url)
    return InThread(ApifyClient(token, api_url=url, api_public_url=url))


async def everything(things: Any) -> list[Any]:
    """What an iterator of either client gives."""
    if hasattr(things, "__aiter__"):
        return [thing async for thing in things]
    return await asyncio.to_thread(list, things)


async def streamed(opened: Any, take: Callable[[Any], Any] = lambda response: response) -> bytes:
    """The bytes of a stream of either client; `take` finds the response in what the stream opens with."""
    if hasattr(opened, "__aenter__"):
        async with opened as response:
            return b"".join([piece async for piece in take(response).aiter_bytes()])

    def drain() -> bytes:
        with opened as response:
            return b"".join(take(response).iter_bytes())

    return await asyncio.to_thread(drain)


class InThread:
    """The sync client with the face of the async one: what is a coroutine there runs in a thread here."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)

        async def ask(*args: Any, **named: Any) -> Any:
            return _faced(await asyncio.to_thread(found, *args, **named))

        twin = getattr(_twin(self._target), name)
        return ask if inspect.iscoroutinefunction(twin) else lambda *args, **named: _faced(found(*args, **named))


def _twin(target: Any) -> type[Any] | None:
    """The async class of a sync client; None for anything else."""
    kind = type(target)
    twin: type[Any] | None = getattr(sys.modules[kind.__module__], f"{kind.__name__}Async", None)
    return twin


def _faced(answer: Any) -> Any:
    return InThread(answer) if _twin(answer) else answer
