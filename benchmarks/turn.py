"""The other end of `measure.Child`: get ready, wait to be told, do it, say so, and stay to be looked at."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


def say(word: str) -> None:
    print(word, flush=True)


@asynccontextmanager
async def my_turn() -> AsyncIterator[None]:
    """The block is what is measured. Afterwards the process waits until its stdin ends or it is stopped."""
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    yield
    say("done")
    await asyncio.to_thread(sys.stdin.readline)
