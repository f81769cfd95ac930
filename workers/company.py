"""Who shares a process: many turns at a time, or one that processes died on, by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from workers.ledger.ledger import Suspect


class Company:
    """Turns of one process.

    Attributes:
        turns: under way.
        wanted: how many wait to be alone; slices end soon then.
    """

    def __init__(self) -> None:
        self.turns = 0
        self.wanted = 0
        self._changed = asyncio.Event()

    async def turn(self, work: Callable[[bool], Awaitable[None]]) -> None:
        """Do some work beside others; if it is Suspect, once more alone. `work` is told whether it is."""
        try:
            await self._until(lambda: not self.wanted)
            with self._counted():
                await work(False)
        except Suspect:
            with self._wanting():
                await self._until(lambda: not self.turns)
                with self._counted():
                    await work(True)

    async def _until(self, so: Callable[[], bool]) -> None:
        while not so():
            await self._changed.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1
            self._tell()

    @contextmanager
    def _wanting(self) -> Iterator[None]:
        self.wanted += 1
        try:
            yield
        finally:
            self.wanted -= 1
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
