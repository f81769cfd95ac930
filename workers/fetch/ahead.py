"""Pages of one dataset in order, asked for before they are wanted.

A page that was asked for early is used only if it begins where the read has come to; whatever else is under way is
thrown away then. An early page that failed, or was larger than expected, is asked for again in its turn, so that
looking ahead never changes what a read gives, or how it ends.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from config.contracts.api import Api, TooLarge
from config.contracts.errors import WorkError
from config.contracts.run import Run
from config.contracts.source import Page, Source
from workers.fetch.budget import Budget

#: How many pages are asked for beyond the one that is wanted. Platforms count requests, so that few large ones get
#: further than many small ones.
PAGES = 3
#: What each reader may hold beside the shared budget: most pages are smaller.
OWN_BYTES = 2 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Early:
    """A page under way. `bytes` of the budget are reserved for it: what it may have, later what it has."""

    offset: int
    limit: int
    bytes: int
    task: asyncio.Task[Page]


class Ahead:
    """Reads pages of a dataset.

    Attributes:
        most: bytes a single page may have.
        pages: how many are asked for ahead; 0: none.
    """

    def __init__(
        self, source: Source, api: Api, run: Run, dataset: str, budget: Budget, *, most: int, pages: int
    ) -> None:
        self.source, self.api, self.run, self.dataset, self.budget = source, api, run, dataset, budget
        self.most, self.pages = most, pages
        self._early: deque[_Early] = deque()
        self._held = 0
        self._row = 0.0  # bytes, of late

    async def page(self, offset: int, limit: int) -> Page:
        """The page, from what is under way or asked for now. The one before it is no longer held.

        Raises TooLarge if it has more than `most` bytes, and whatever the platform answers.
        """
        self._let_go(0)
        page = await self._asked_early(offset, limit) or await self._now(offset, limit)
        if page.count:
            self._row = max(len(page.lines) / page.count, self._row * 0.75)
        return page

    def look(self, offset: int, limit: int, until: int, *, cut: bool = False) -> None:
        """Ask for pages of `limit` rows from `offset` on that begin before row `until`, as far as the budget goes.
        `cut`: the last one must not reach beyond."""
        if self._early and self._early[0].offset != offset:
            self._drop()
        if self._early:
            offset = self._early[-1].offset + self._early[-1].limit
        while len(self._early) < self.pages and offset < until:
            size = min(limit, until - offset) if cut else limit
            room = self._room(size)
            if not self.budget.take(room):
                return
            self._early.append(self._ask(offset, size, room))
            offset += size

    def _room(self, rows: int) -> int:
        """What so many rows may have if they are like those before, or half as large again."""
        return min(round(rows * self._row * 1.5) + 65_536, self.most)

    async def close(self) -> None:
        """Whatever is under way ends; nothing is held any more."""
        tasks = [early.task for early in self._early]
        self._drop()
        self._let_go(0)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, offset: int, limit: int, room: int) -> _Early:
        early = _Early(offset, limit, room, asyncio.create_task(self._fetch(offset, limit, room)))
        early.task.add_done_callback(lambda task: self._came(early, task))
        return early

    async def _fetch(self, offset: int, limit: int, room: int) -> Page:
        return await self.source.page(self.api, self.run, self.dataset, offset=offset, limit=limit, most=room)

    def _came(self, early: _Early, task: asyncio.Task[Page]) -> None:
        """Only what the page really has stays reserved."""
        kept = 0 if task.cancelled() or task.exception() else min(len(task.result().lines), early.bytes)
        if early in self._early:
            self.budget.give(early.bytes - kept)
            early.bytes = kept

    async def _asked_early(self, offset: int, limit: int) -> Page | None:
        if not self._early:
            return None
        early = self._early[0]
        if early.offset != offset or early.limit > limit:
            self._drop()
            return None
        with suppress(WorkError, TooLarge):
            await asyncio.shield(early.task)
        self._early.popleft()
        if early.task.exception():
            return None
        self._held = early.bytes
        return early.task.result()

    async def _now(self, offset: int, limit: int) -> Page:
        """A page of ordinary size is everybody's right; for a larger one there must be room."""
        own = min(OWN_BYTES, self.most)
        if self._row * limit <= own:
            try:
                return await self._fetch(offset, limit, own)
            except TooLarge:
                if own == self.most:
                    raise
        self._drop()
        await self.budget.wait(self.most)
        self._held = min(self.most, self.budget.most)
        page = await self._fetch(offset, limit, self.most)
        self._let_go(len(page.lines))
        return page

    def _drop(self) -> None:
        for early in self._early:
            early.task.cancel()
            self.budget.give(early.bytes)
        self._early.clear()

    def _let_go(self, still: int) -> None:
        self.budget.give(self._held - still)
        self._held = still
