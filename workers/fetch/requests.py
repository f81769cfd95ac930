"""What a run's request queue holds, in batches.

A queue is listed by cursor. A batch never reaches over the end of a page, so that batches are cut at the same places on
every try; where one is continued is a page and how many of its requests are done.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from config.contracts.api import Api, TooLarge
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.contracts.source import Requests, Source
from config.route import BatchSize
from workers.fetch.budget import Budget
from workers.fetch.cutting import rows_of, whole
from workers.fetch.settling import require_quiet

#: What is set aside for a page while it comes: a thousand requests, some of which bring a payload.
PAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: behind `done` requests of the page that `cursor` leads to; the first page has no cursor."""

    cursor: str | None = None
    done: int = 0

    @classmethod
    def read(cls, after: str | None) -> Self:
        """From a checkpoint's `after`."""
        done, _, cursor = (after or "0@").partition("@")
        return cls(cursor or None, int(done))

    def __str__(self) -> str:
        return f"{self.done}@{self.cursor or ''}"


class RequestReader:
    """Reads the run's own queue."""

    def __init__(self, source: Source, api: Api, run: Run, size: BatchSize, budget: Budget) -> None:
        self.source, self.api, self.run = source, api, run
        self.queue = run.queues.get("default")
        self.size, self.budget = size, budget

    async def batches(self, after: str | None, offset: int, index: int) -> AsyncIterator[tuple[Batch, str]]:
        """Batches from a checkpoint's `after` on, each with the `after` of the checkpoint behind it. The first one is
        numbered `index`, and its first request `offset`. A run without a queue has none.

        Raises NotYet while the run has only just finished, Transient for a list that leads back to itself, Permanent
        for a page nobody can hold.
        """
        place = Place.read(after)
        while self.queue:
            page = await self._page(self.queue, place.cursor)
            rows = rows_of(page.lines)[place.done :]
            if page.count < place.done:
                raise Permanent(Reason.SOURCE_MUTATED, "the queue has fewer requests than were read before")
            while rows:
                count = whole(rows, self.size) or len(rows)
                place = Place(place.cursor, place.done + count)
                yield Batch(index=index, offset=offset, lines=b"".join(rows[:count]), count=count), str(place)
                index, offset, rows = index + 1, offset + count, rows[count:]
            if page.after is None:
                return
            place = Place(page.after)

    async def count(self) -> int:
        """How many requests the platform counts."""
        return (await self.source.request_count(self.api, self.queue)).rows if self.queue else 0

    async def _page(self, queue: str, cursor: str | None) -> Requests:
        await self.budget.wait(PAGE_BYTES)
        try:
            page = await self.source.requests(self.api, queue, after=cursor)
        except TooLarge as exc:
            raise Permanent(Reason.SOURCE_REFUSED, f"a page of the request queue is too large: {exc}") from exc
        finally:
            self.budget.give(min(PAGE_BYTES, self.budget.most))
        require_quiet(self.run, self.source.settle, page.at)
        if page.after is not None and page.after == cursor:
            raise Transient(Reason.SOURCE_UNAVAILABLE, "the platform's list of requests goes on where it began")
        return page
