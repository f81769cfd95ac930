"""What a request queue holds: listed by cursor, cut at the same places on every try."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import pytest

from config.contracts.api import Api, TooLarge
from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.contracts.source import Count, Requests, Settle, Source
from config.route import BatchSize
from tests.workers.fetch.datasets import FINISHED, LATER, NO_API
from workers.fetch.budget import Budget
from workers.fetch.requests import Place, RequestReader

RUN = Run(
    id="r",
    source="s",
    status="SUCCEEDED",
    terminal=True,
    life="l",
    finished=FINISHED,
    account="a",
    queues={"default": "q"},
)
TWO = BatchSize(items=2)


@dataclass
class Queue:
    """`requests` of a source. `pages`: sizes; a cursor is the number of a page."""

    pages: Sequence[int]
    at: float = LATER
    circles: bool = False
    asked: list[str | None] = field(default_factory=list)
    settle: Settle = field(default_factory=Settle)
    budget: Budget = field(default_factory=Budget)

    async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests:
        assert queue == "q"
        self.asked.append(after)
        number = int(after or 0)
        lines = b"".join(b'{"id":"%d-%d"}\n' % (number, n) for n in range(self.pages[number]))
        more = str(number + (0 if self.circles and number else 1)) if number + 1 < len(self.pages) else None
        return Requests(lines=lines, count=self.pages[number], after=more, at=self.at)

    async def request_count(self, api: Api, queue: str, /) -> Count:
        return Count(rows=sum(self.pages), at=self.at)

    def reader(self, run: Run = RUN, size: BatchSize = TWO) -> RequestReader:
        return RequestReader(cast(Source, self), NO_API, run, size, self.budget)

    async def read(self, after: str | None = None, offset: int = 0, index: int = 0) -> list[tuple[Batch, str]]:
        return [found async for found in self.reader().batches(after, offset, index)]


async def test_every_request_comes_once_page_after_page_and_an_empty_page_is_not_the_end() -> None:
    queue = Queue([3, 0, 2, 0])
    found = await queue.read()
    assert [(batch.index, batch.offset, batch.lines, after) for batch, after in found] == [
        (0, 0, b'{"id":"0-0"}\n{"id":"0-1"}\n', "2@"),
        (1, 2, b'{"id":"0-2"}\n', "3@"),
        (2, 3, b'{"id":"2-0"}\n{"id":"2-1"}\n', "2@2"),
    ]
    assert queue.asked == [None, "1", "2", "3"]
    assert await queue.reader().count() == 5


async def test_whoever_goes_on_gets_the_rest_as_it_would_have_been() -> None:
    whole = await Queue([3, 0, 5]).read()
    for done in range(1, len(whole) + 1):
        batch, after = whole[done - 1]
        rest = await Queue([3, 0, 5]).read(after, batch.offset + batch.count, batch.index + 1)
        assert rest == whole[done:]


@pytest.mark.parametrize("cursor", ["abc", "a@b", "5@", None])
def test_a_place_is_read_as_it_was_written(cursor: str | None) -> None:
    assert Place.read(str(Place(cursor, 17))) == Place(cursor, 17)
    assert Place.read(None) == Place()


async def test_a_run_without_a_queue_has_no_requests() -> None:
    queue, run = Queue([3]), msgspec.structs.replace(RUN, queues={})
    reader = queue.reader(run)
    assert [found async for found in reader.batches(None, 0, 0)] == []
    assert (await reader.count(), queue.asked) == (0, [])


async def test_a_list_made_too_early_is_not_used() -> None:
    with pytest.raises(NotYet) as caught:
        await Queue([3], at=FINISHED + 9).read()
    assert (caught.value.reason, caught.value.wait) == ("not_settled", 1.5)


async def test_a_list_that_leads_back_to_itself_is_trouble_that_may_pass() -> None:
    with pytest.raises(Transient, match="goes on where it began"):
        await Queue([1, 1, 1], circles=True).read()


async def test_requests_that_vanish_are_a_change_nobody_can_mend() -> None:
    with pytest.raises(Permanent) as caught:
        await Queue([3]).read(after="4@", offset=4, index=2)
    assert caught.value.reason == "source_mutated"


async def test_a_page_nobody_can_hold_ends_the_delivery_with_its_reason() -> None:
    class Huge(Queue):
        async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests:
            raise TooLarge(70_000_000)

    with pytest.raises(Permanent, match="too large: 70000000"):
        await Huge([1]).read()


async def test_a_page_waits_for_room_and_gives_it_back() -> None:
    queue = Queue([2, 2], budget=Budget(10))
    assert len(await queue.read()) == 2
    assert queue.budget.free == 10
