"""The other end of `measure.Child`: get ready, wait to be told, do it, say so, and stay to be looked at."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


def say(word: str) -> None:
    print(word, flush=True)


@asynccontextmanager
async def my_turn(facts: Callable[[], str] = str) -> AsyncIterator[None]:
    """The block is what is measured. Afterwards the process waits until its stdin ends or it is stopped.

    `facts`: what else to say when it is done.
    """
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    yield
    say(f"done {facts()}")
    await asyncio.to_thread(sys.stdin.readline)
