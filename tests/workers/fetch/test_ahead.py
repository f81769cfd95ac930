"""Pages asked for before they are wanted: in order, within a budget that all readers share, gone when the read is."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from config.contracts.api import Api
from config.contracts.errors import NotYet, Transient
from config.contracts.run import Run
from config.contracts.source import Page
from config.route import BatchSize
from tests.workers.fetch.datasets import FINISHED, Dataset, Reading, breaks, cut
from workers.fetch import ahead
from workers.fetch.budget import Budget

TEN = BatchSize(items=10)


def rows(count: int, size: int = 8) -> list[bytes]:
    return [b"%0*d" % (size - 1, n) for n in range(count)]


@dataclass
class Far(Dataset):
    """A dataset whose pages take a while, later ones longer. `under_way`: pages now; `most`: at any time."""

    under_way: int = 0
    most: int = 0
    cancelled: list[int] = field(default_factory=list)

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(5 + 5 * offset // limit):
                await asyncio.sleep(0)
            return await super().page(api, run, dataset, offset=offset, limit=limit, most=most)
        except asyncio.CancelledError:
            self.cancelled.append(offset)
            raise
        finally:
            self.under_way -= 1


async def test_announced_pages_are_asked_for_at_the_same_time_and_come_in_order() -> None:
    dataset = Far(rows(100))
    reading = Reading(dataset, TEN, ahead=3)
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, TEN)
    assert dataset.most == 3
    assert dataset.asked == [*((n, 10) for n in range(0, 101, 10)), "count"]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
async def test_a_small_dataset_costs_the_same_requests_as_page_after_page(count: int) -> None:
    one_by_one, early = Reading(Dataset(rows(count)), TEN), Reading(Dataset(rows(count)), TEN, ahead=3)
    assert await one_by_one.go()
    assert await early.go()
    assert early.dataset.asked == one_by_one.dataset.asked


async def test_nothing_is_asked_for_beyond_a_known_end() -> None:
    reading = Reading(Far(rows(99)), TEN, ahead=3, end=45)
    assert await reading.go()
    assert reading.dataset.asked == [(0, 10), (10, 10), (20, 10), (30, 10), (40, 5)]


async def test_pages_grow_until_they_have_some_mebibytes_where_batches_need_no_cutting() -> None:
    dataset = Dataset(rows(100_000, size=100))
    reading = Reading(dataset, BatchSize(items=1000), ahead=3, cut=False)
    assert await reading.go()
    assert b"".join(batch.lines for batch in reading.batches) == b"".join(row + b"\n" for row in dataset.rows)
    limits = [asked[1] for asked in dataset.asked if isinstance(asked, tuple)]
    assert limits[:8] == [1000, 2000, 2000, 2000, 4000, 8000, 16000, 32000]
    assert sum(batch.count for batch in reading.batches) == 100_000


async def test_a_short_page_in_between_makes_the_early_ones_useless_and_loses_nothing() -> None:
    """A page whose counts lag brings fewer rows than asked for: what follows begins elsewhere."""

    def half(page: Page) -> Page:
        kept = page.lines.split(b"\n")[: page.count // 2]
        return replace(page, lines=b"".join(row + b"\n" for row in kept), count=len(kept), scanned=len(kept))

    def whole(page: Page) -> Page:
        return page

    dataset = Dataset(rows(60))
    dataset.spoil.extend([whole, half])
    reading = Reading(dataset, TEN, ahead=3)
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, TEN)
    assert (15, 10) in dataset.asked


async def test_an_early_page_that_failed_is_asked_for_again_in_its_turn() -> None:
    dataset = Dataset(rows(40))
    dataset.spoil.extend([lambda page: page, breaks])
    reading = Reading(dataset, TEN, ahead=3)
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, TEN)
    assert [asked for asked in dataset.asked if asked == (10, 10)] == [(10, 10)] * 2


async def test_leaving_early_ends_what_is_under_way() -> None:
    dataset, budget = Far(rows(100)), Budget(10**6)
    before = asyncio.all_tasks()
    assert not await Reading(dataset, TEN, ahead=3, budget=budget).go(2)
    assert dataset.cancelled == [20, 30]
    assert (asyncio.all_tasks(), dataset.under_way, budget.free) == (before, 0, budget.most)


async def test_an_error_ends_what_is_under_way() -> None:
    dataset, budget = Far(rows(100)), Budget(10**6)
    dataset.spoil.extend([lambda page: page, breaks, lambda page: page, lambda page: page, breaks])
    before = asyncio.all_tasks()
    with pytest.raises(Transient):
        await Reading(dataset, TEN, ahead=3, budget=budget).go()
    assert (asyncio.all_tasks(), dataset.under_way, budget.free) == (before, 0, budget.most)


async def test_an_early_empty_page_from_before_the_quiet_ends_nothing() -> None:
    dataset = Dataset(rows(20), visible=10, total=20, at=FINISHED)
    with pytest.raises(NotYet):
        await Reading(dataset, TEN, ahead=3).go()


async def test_without_room_in_the_budget_pages_come_one_by_one() -> None:
    dataset = Far(rows(100))
    assert await Reading(dataset, TEN, ahead=3, budget=Budget(0)).go()
    assert dataset.most == 1


async def test_many_readers_of_large_pages_share_one_budget_and_all_come_to_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each page is beyond what a reader may hold by itself, and the budget has room for two of the largest."""
    monkeypatch.setattr(ahead, "OWN_BYTES", 100)
    monkeypatch.setattr("workers.fetch.reader.PAGE_BYTES", 10_000)
    budget = Budget(20_000)
    readings = [Reading(Far(rows(60, size=500)), TEN, ahead=3, budget=budget) for _ in range(12)]
    lowest = budget.most

    async def watch() -> None:
        nonlocal lowest
        while True:
            lowest = min(lowest, budget.free)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    assert all(await asyncio.gather(*(reading.go() for reading in readings)))
    watching.cancel()
    assert all(reading.batches == cut(rows(60, size=500), TEN) for reading in readings)
    assert 0 <= lowest < 10_000
    assert budget.free == budget.most


async def test_whoever_waits_for_room_is_served_in_turn_and_nobody_overtakes() -> None:
    budget, served = Budget(10), list[str]()

    async def want(name: str, size: int) -> None:
        await budget.wait(size)
        served.append(name)

    assert budget.take(8)
    waiting = [asyncio.create_task(want("large", 9)), asyncio.create_task(want("small", 1))]
    await asyncio.sleep(0)
    assert not budget.take(1)
    budget.give(8)
    await asyncio.gather(*waiting)
    assert (served, budget.free) == (["large", "small"], 0)


async def test_who_wants_more_than_there_is_gets_everything() -> None:
    budget = Budget(10)
    await budget.wait(99)
    assert budget.free == 0


@pytest.mark.parametrize("served", [False, True])
async def test_who_stops_waiting_takes_nothing(served: bool) -> None:
    budget = Budget(10)
    assert budget.take(10)
    waiting = asyncio.create_task(budget.wait(6))
    await asyncio.sleep(0)
    if served:
        budget.give(10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert budget.free == (10 if served else 0)
