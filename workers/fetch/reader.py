"""The complete read: every row a dataset has, in batches that are cut at the same places on every try.

Rows are read raw, so row numbers are absolute and stay what they are. A page that holds fewer rows than the platform
says it scanned is read again; one that holds more than a lagging count announced is taken as it is. An empty page ends
the read only once the platform's own counts have settled. While rows are announced, pages are asked for ahead.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from config.contracts.api import Api, TooLarge
from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.contracts.source import Page, Source
from config.route import BatchSize
from workers.fetch.ahead import PAGES, Ahead
from workers.fetch.budget import Budget
from workers.fetch.cutting import rows_of, whole
from workers.fetch.settling import require_quiet

#: Most bytes of one page in memory. One row may have 9 MiB; a larger page is asked for in smaller ones.
PAGE_BYTES = 12 * 1024 * 1024
#: Pages grow until they have a sixth of that, or so many rows.
ROWS = 100_000
#: How often an incomplete page is read again before the attempt is given up.
REREADS = 3

Settled = Callable[[int, int], Awaitable[None]]


class DatasetReader:
    """Reads one dataset of one run, from a row on. A context manager: leaving it ends what was asked for ahead.

    settled: awaited once with (end, expected) when the end has been found, before the last batch is handed out, so
        that whoever goes on after a crash cuts the last batch at the same place.
    cut: whether batches are cut to `size`; if not, each page is a batch as it comes, and pages grow.
    """

    def __init__(
        self,
        source: Source,
        api: Api,
        run: Run,
        dataset: str,
        size: BatchSize,
        settled: Settled,
        budget: Budget,
        *,
        cut: bool = True,
        ahead: int = PAGES,
    ) -> None:
        self.source, self.api, self.run, self.dataset = source, api, run, dataset
        self.size = size
        self.limit = size.items
        self._most = size.items if cut else max(size.items, ROWS)
        self._cut = cut
        self.total = 0
        self._settled = settled
        self._pages = Ahead(source, api, run, dataset, budget, most=PAGE_BYTES, pages=ahead)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pages.close()

    async def batches(self, offset: int, index: int, end: int | None) -> AsyncIterator[Batch]:
        """Batches from row `offset` on, the first one numbered `index`. `end`: one past the last row, if known.

        Raises NotYet while the end is not settled, Transient and Permanent as the platform answers.
        """
        rows: list[bytes] = []
        while True:
            while count := whole(rows, self.size):
                yield _batch(index, offset, rows[:count])
                index, offset, rows = index + 1, offset + count, rows[count:]
            at = offset + len(rows)
            if end is not None and at >= end:
                break
            page = await self._page(at, end)
            if page.count == 0:
                end = await self._end(page, at, end)
            elif not self._cut or (not rows and page.count == self.size.items and len(page.lines) <= self.size.bytes):
                yield Batch(index=index, offset=offset, lines=page.lines, count=page.count)
                index, offset = index + 1, offset + page.count
            else:
                rows += rows_of(page.lines)
        if rows:
            yield _batch(index, offset, rows)

    async def _page(self, offset: int, end: int | None) -> Page:
        rereads = 0
        while True:
            limit = self.limit if end is None else min(self.limit, end - offset)
            try:
                page = await self._pages.page(offset, limit)
            except TooLarge:
                self._ask_for_less()
                continue
            if page.scanned <= page.count <= limit:
                self._ask_for_more(page)
                self._look_ahead(page, offset + page.count, end)
                return page
            rereads += 1
            if rereads > REREADS:
                raise Transient(
                    Reason.SOURCE_UNAVAILABLE,
                    f"of {limit} rows from row {offset} on the platform announced {page.scanned} and sent {page.count}",
                )

    def _ask_for_less(self) -> None:
        if self.limit == 1:
            raise Permanent(Reason.SOURCE_REFUSED, f"a single row is larger than {PAGE_BYTES} bytes")
        self.limit = max(1, self.limit // 4)

    def _ask_for_more(self, page: Page) -> None:
        """After a few huge rows the many small ones are not asked for one by one."""
        if len(page.lines) < PAGE_BYTES // 6:
            self.limit = min(self.limit * 2, self._most)

    def _look_ahead(self, page: Page, offset: int, end: int | None) -> None:
        """Nothing is asked for beyond the rows that are announced."""
        self.total = max(self.total, page.total)
        if page.count:
            self._pages.look(offset, self.limit, self.total if end is None else end, cut=end is not None)

    async def _end(self, page: Page, at: int, end: int | None) -> int:
        """The end rule. Only the platform's clock and the platform's counts decide."""
        require_quiet(self.run, self.source.settle, page.at)
        count = await self.source.count(self.api, self.run, self.dataset)
        require_quiet(self.run, self.source.settle, count.at)
        expected = max(count.rows, page.total)
        if expected > at:
            raise NotYet(Reason.NOT_SETTLED, f"the platform counts {expected} rows and gave {at}", wait=0.0)
        if end is not None:
            raise Permanent(Reason.SOURCE_MUTATED, f"rows up to {end} were there, now they end at {at}")
        await self._settled(at, expected)
        return at


def _batch(index: int, offset: int, rows: list[bytes]) -> Batch:
    return Batch(index=index, offset=offset, lines=b"".join(rows), count=len(rows))
