"""The complete read: every row a dataset has, in batches that are cut at the same places on every try.

Rows are read raw, so row numbers are absolute and stay what they are. A page that holds fewer rows than the platform
says it scanned is read again; one that holds more than a lagging count announced is taken as it is. An empty page ends
the read only once the platform's own counts have settled.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.contracts.source import Api, Count, Page, Source, TooLarge
from config.route import BatchSize

#: Most bytes of one page in memory. One row may have 9 MiB; a larger page is asked for in smaller ones.
PAGE_BYTES = 12 * 1024 * 1024
#: A `Date` header has whole seconds.
DATE_STEP = 1.0
#: How often an incomplete page is read again before the attempt is given up.
REREADS = 3

Settled = Callable[[int, int], Awaitable[None]]


class DatasetReader:
    """Reads one dataset of one run, from a row on.

    settled: awaited once with (end, expected) when the end has been found, before the last batch is handed out, so
        that whoever goes on after a crash cuts the last batch at the same place.
    """

    def __init__(self, source: Source, api: Api, run: Run, dataset: str, size: BatchSize, settled: Settled) -> None:
        self.source, self.api, self.run, self.dataset = source, api, run, dataset
        self.size = size
        self.limit = size.items
        self._settled = settled

    async def batches(self, offset: int, index: int, end: int | None) -> AsyncIterator[Batch]:
        """Batches from row `offset` on, the first one numbered `index`. `end`: one past the last row, if known.

        Raises NotYet while the end is not settled, Transient and Permanent as the platform answers.
        """
        rows: list[bytes] = []
        while True:
            while whole := self._whole(rows):
                yield _batch(index, offset, rows[:whole])
                index, offset, rows = index + 1, offset + whole, rows[whole:]
            at = offset + len(rows)
            if end is not None and at >= end:
                break
            page = await self._page(at, end)
            if page.count == 0:
                end = await self._end(page, at, end)
            elif not rows and page.count == self.size.items and len(page.lines) <= self.size.bytes:
                yield Batch(index=index, offset=offset, lines=page.lines, count=page.count)
                index, offset = index + 1, offset + page.count
            else:
                rows += _rows(page.lines)
        if rows:
            yield _batch(index, offset, rows)

    def _whole(self, rows: list[bytes]) -> int:
        """How many rows the next batch has; 0 while it may still grow. Depends on the rows alone."""
        size = 0
        for count, row in enumerate(rows):
            size += len(row)
            if count == self.size.items or (count and size > self.size.bytes):
                return count
        return len(rows) if len(rows) == self.size.items else 0

    async def _page(self, offset: int, end: int | None) -> Page:
        rereads = 0
        while True:
            limit = self.limit if end is None else min(self.limit, end - offset)
            try:
                page = await self.source.page(self.api, self.dataset, offset=offset, limit=limit, most=PAGE_BYTES)
            except TooLarge:
                self._ask_for_less()
                continue
            if page.scanned <= page.count <= limit:
                self._ask_for_more(page)
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
        if len(page.lines) < PAGE_BYTES // 8:
            self.limit = min(self.limit * 2, self.size.items)

    async def _end(self, page: Page, at: int, end: int | None) -> int:
        """The end rule. Only the platform's clock and the platform's counts decide."""
        if end is not None:
            raise Permanent(Reason.SOURCE_MUTATED, f"rows up to {end} were there, now they end at {at}")
        self._is_quiet(page)
        count = await self.source.count(self.api, self.dataset)
        self._is_quiet(count)
        expected = max(count.rows, page.total)
        if expected > at:
            raise NotYet(Reason.NOT_SETTLED, f"the platform counts {expected} rows and gave {at}", wait=0.0)
        await self._settled(at, expected)
        return at

    def _is_quiet(self, said: Page | Count) -> None:
        quiet = self.run.finished + self.source.settle.quiet
        if said.at < quiet:
            raise NotYet(Reason.NOT_SETTLED, "the run has only just finished", wait=settles_in(quiet, said.at))


def settles_in(quiet: float, now: float) -> float:
    """Seconds until the platform's clock has passed `quiet`; 0.0, a short growing wait, if it shows no clock."""
    return quiet - now + DATE_STEP / 2 if now else 0.0


def _rows(lines: bytes) -> list[bytes]:
    return [row + b"\n" for row in lines.split(b"\n")[:-1]]


def _batch(index: int, offset: int, rows: list[bytes]) -> Batch:
    return Batch(index=index, offset=offset, lines=b"".join(rows), count=len(rows))
