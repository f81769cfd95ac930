"""Both official clients behind one face, so that a test speaks through either."""

import asyncio
import inspect
import sys
from typing import Any

from apify_client import ApifyClient, ApifyClientAsync

KINDS = ("async", "sync")


def client_of(kind: str, url: str, token: str = "t") -> Any:
    """The official client of this kind; what asks the API is awaited, whichever it is."""
    if kind == "async":
        return ApifyClientAsync(token, api_url=url, api_public_url=url)
    return InThread(ApifyClient(token, api_url=url, api_public_url=url))


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
