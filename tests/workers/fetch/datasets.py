"""A platform with one dataset and nothing else: it lags, breaks off and changes its mind as it is told."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from config.contracts.api import Api, TooLarge
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.contracts.source import Count, Page, Settle, Source
from config.route import BatchSize
from workers.fetch.budget import Budget
from workers.fetch.reader import DatasetReader

FINISHED = 1_000.0
LATER = 2_000.0
NO_API = cast(Api, None)


@dataclass
class Dataset:
    """`page` and `count` of a source.

    Attributes:
        rows: the rows as stored, without line breaks.
        visible: how many of them can be read; more become so by `grow` at each question.
        counted: what `count` says; None for what is visible.
        total: what a page says there are; None for what is visible.
        at: the platform's clock; `tick` seconds pass at each question.
        spoil: changes the pages to come, one each.
        asked: what was asked, as (offset, limit) or "count".
    """

    rows: list[bytes]
    visible: int = -1
    grow: int = 0
    counted: int | None = None
    total: int | None = None
    at: float = LATER
    tick: float = 0.0
    spoil: deque[Callable[[Page], Page]] = field(default_factory=deque)
    asked: list[object] = field(default_factory=list)
    name: str = "double"
    settle: Settle = field(default_factory=Settle)

    def __post_init__(self) -> None:
        if self.visible < 0:
            self.visible = len(self.rows)

    def _pass_time(self) -> None:
        self.at += self.tick
        self.visible = min(self.visible + self.grow, len(self.rows))

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        self.asked.append((offset, limit))
        self._pass_time()
        rows = self.rows[: self.visible][offset : offset + limit]
        page = Page(
            lines=b"".join(row + b"\n" for row in rows),
            count=len(rows),
            scanned=len(rows),
            total=self.visible if self.total is None else self.total,
            at=self.at,
        )
        if self.spoil:
            page = self.spoil.popleft()(page)
        if len(page.lines) > most:
            raise TooLarge(len(page.lines))
        return page

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count:
        self.asked.append("count")
        self._pass_time()
        return Count(rows=self.visible if self.counted is None else self.counted, at=self.at)


@dataclass
class Reading:
    """What somebody who reads a dataset has durably: batches, and the end once it is settled.

    `ahead`: how many pages are asked for early. `cut`: whether batches are cut to `size`.
    """

    dataset: Dataset
    size: BatchSize
    ahead: int = 0
    cut: bool = True
    budget: Budget = field(default_factory=Budget)
    batches: list[Batch] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    offset: int = 0
    end: int | None = None

    def reader(self) -> DatasetReader:
        async def settle(end: int, expected: int) -> None:
            self.settled.append((end, expected))
            self.end = end

        run = Run(id="r", source="double", status="SUCCEEDED", terminal=True, life="l", finished=FINISHED, account="a")
        source = cast(Source, self.dataset)
        return DatasetReader(source, NO_API, run, "d", self.size, settle, self.budget, cut=self.cut, ahead=self.ahead)

    async def go(self, most: int | None = None) -> bool:
        """Read on from the last batch, at most so many more. Returns whether the end is reached."""
        taken = 0
        async with self.reader() as reader:
            async for batch in reader.batches(self.offset, len(self.batches), self.end):
                self.batches.append(batch)
                self.offset += batch.count
                taken += 1
                if taken == most:
                    return False
        return True


def cut(rows: list[bytes], size: BatchSize) -> list[Batch]:
    """Where batches must be cut, told in the plainest way: a row that does not fit begins the next batch."""
    batches: list[list[bytes]] = []
    for row in rows:
        line = row + b"\n"
        last = batches[-1] if batches else []
        if last and len(last) < size.items and sum(map(len, last)) + len(line) <= size.bytes:
            last.append(line)
        else:
            batches.append([line])
    starts = [sum(len(batch) for batch in batches[:index]) for index in range(len(batches))]
    return [
        Batch(index=index, offset=start, lines=b"".join(batch), count=len(batch))
        for index, (start, batch) in enumerate(zip(starts, batches, strict=True))
    ]


def breaks(page: Page) -> Page:
    raise Transient(Reason.SOURCE_UNAVAILABLE, "told to")
