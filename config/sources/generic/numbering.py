"""Rows by number, of a list that may only be walked along.

Where it was walked is remembered, and the page that came last is kept, both bounded, so that reading in order asks for
each page of the platform's about once. What is kept never answers where the list ends: that is asked for each time.
Several may read at once; each knows its own way.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple, TypeVar

from config.contracts.api import Api, TooLarge
from config.contracts.errors import Permanent
from config.contracts.source import Count, Page
from config.sources.generic.paging import Offset, PageNumber
from config.sources.generic.walking import PAGES, Position, Stretch, Walk, goes_round

#: Places that are remembered.
MARKS = 256

T = TypeVar("T")


class Held(NamedTuple):
    """A page that was asked for, and the row it begins with."""

    row: int
    position: Position
    stretch: Stretch

    def covers(self, offset: int) -> bool:
        return self.row <= offset < self.row + len(self.stretch.rows)


def page_of(rows: Sequence[bytes], total: int, at: float, most: int) -> Page:
    """Rows as a page. Raises TooLarge."""
    lines = b"".join(row + b"\n" for row in rows)
    if len(lines) > most:
        raise TooLarge(len(lines))
    return Page(lines=lines, count=len(rows), scanned=len(rows), total=total, at=at)


class Numbered:
    """One list of one run."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self._marks: dict[Position, int] = {}
        self._held: Held | None = None
        self._forget()

    @property
    def held_bytes(self) -> int:
        """Of the page that is kept."""
        return sum(map(len, self._held.stretch.rows)) if self._held else 0

    def let_go(self) -> None:
        self._held = None

    async def page(self, api: Api, offset: int, limit: int, most: int) -> Page:
        """Exactly these rows, as far as there are any. Rows beyond them are announced only where they can be asked for
        without walking there: nobody should ask ahead."""
        if offset == 0:
            self._forget()
        return await self._surely(lambda: self._page(api, offset, limit, most))

    async def count(self, api: Api) -> Count:
        """What the platform says, or else where the list ends."""
        return await self._surely(lambda: self._count(api))

    async def _page(self, api: Api, offset: int, limit: int, most: int) -> Page:
        rows, size, until = list[bytes](), 0, offset + limit
        end, stretch = 0, Stretch([], None, False, None, 0.0)
        async with aclosing(self._stretches(api, *self._nearest(offset), until)) as stretches:
            async for row, stretch in stretches:
                taken = stretch.rows[max(0, offset - row) : max(0, until - row)]
                rows += taken
                size += sum(len(one) + 1 for one in taken)
                if size > most:
                    raise TooLarge(size)
                end = row + len(stretch.rows)
        total = end if stretch.following is None else offset + len(rows)
        if isinstance(self.walk.paging, Offset) and stretch.total is not None:
            total = stretch.total
        return page_of(rows, total, stretch.at, most)

    async def _count(self, api: Api) -> Count:
        self.let_go()
        start = (0, self.walk.beginning) if self.walk.is_counted else self._nearest(math.inf)
        count = Count(0, 0.0)
        async with aclosing(self._stretches(api, *start, math.inf)) as stretches:
            async for row, stretch in stretches:
                count = Count(rows=row + len(stretch.rows), at=stretch.at)
                if stretch.total is not None:
                    return Count(rows=stretch.total, at=stretch.at)
        return count

    async def _stretches(
        self, api: Api, row: int, position: Position, until: float
    ) -> AsyncGenerator[tuple[int, Stretch], None]:
        """Pages and the rows they begin with, to row `until` or the end."""
        seen = set[Position]()
        while True:
            seen.add(position)
            stretch = self._kept(position, until) or await self._asked(api, row, position)
            following = stretch.following
            if following in seen or len(seen) > PAGES or (following and self._marks.get(following, row) < row):
                self._forget()
                raise goes_round(self.walk.key)
            yield row, stretch
            row += len(stretch.rows)
            if following is None or row >= until:
                return
            position = following

    async def _asked(self, api: Api, row: int, position: Position) -> Stretch:
        stretch = await self.walk.step(api, position)
        if self._held and self._repeats(self._held, position, stretch):
            self._forget()
            raise goes_round(self.walk.key)
        self._held = Held(row, position, stretch)
        if stretch.full and stretch.following is not None:
            self._remember(stretch.following, row + len(stretch.rows))
        elif stretch.rows and position not in self._marks:
            self._remember(position, row)
        return stretch

    def _repeats(self, before: Held, position: Position, stretch: Stretch) -> bool:
        """Whether the platform does not know the parameter, and gives the same page whatever is asked for. Rows that
        are all alike may well come again."""
        by_number = isinstance(self.walk.paging, Offset | PageNumber) and position != before.position
        return by_number and before.stretch.rows == stretch.rows and len(set(stretch.rows)) == len(stretch.rows) > 1

    def _kept(self, position: Position, until: float) -> Stretch | None:
        """The page that was read last, if more than it has cannot be wanted of it."""
        held = self._held
        if held is None or held.position != position:
            return None
        whole = held.row + len(held.stretch.rows) >= until
        return held.stretch if whole or held.stretch.full else None

    def _nearest(self, offset: float) -> tuple[int, Position]:
        """Where to begin: the nearest place at or before a row that is known."""
        if self._held and self._held.covers(int(min(offset, 2**62))):
            return self._held.row, self._held.position
        if isinstance(self.walk.paging, Offset) and offset != math.inf:
            return int(offset), int(offset)
        known = [(row, position) for position, row in self._marks.items() if row <= offset]
        return max(reversed(known), key=lambda found: found[0])

    def _remember(self, position: Position, row: int) -> None:
        self._marks.pop(position, None)
        self._marks[position] = row
        if len(self._marks) > MARKS:
            kept = list(self._marks.items())
            self._marks = dict([kept[0], *kept[2:-1:2], kept[-1]])

    def _forget(self) -> None:
        self._marks = {self.walk.beginning: 0}
        self.let_go()

    async def _surely(self, ask: Callable[[], Awaitable[T]]) -> T:
        """A place that is remembered may be worth nothing any more, as cursors are after a time: then from the
        beginning, once."""
        remembered = len(self._marks) > 1
        try:
            return await ask()
        except Permanent:
            if not remembered:
                raise
            self._forget()
            return await ask()
