"""Keeping a lease while the work goes on, and letting go of the work when it is lost."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.workers.ledger.books import Books
from workers.ledger.holding import holding
from workers.ledger.ledger import LeaseLost, Ledger
from workers.ledger.records import Lease


class Flaky(Ledger):
    """A ledger whose Redis is away for the next `fails` renewals, or hangs. `renewals`: how many were tried."""

    fails = 0
    hangs = False
    renewals = 0

    async def renew(self, lease: Lease) -> None:
        self.renewals += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            self.fails -= 1
            raise RedisConnectionError("away")
        await super().renew(lease)


async def lease_of(books: Books, lease_ms: int) -> tuple[Flaky, Lease]:
    ledger = Flaky(books.redis, books.keys, lease_ms=lease_ms)
    taken = await ledger.take_event(await books.accept(), 1)
    assert taken
    return ledger, taken[0]


@pytest.fixture
async def held(books: Books) -> tuple[Flaky, Lease]:
    """A lease that soon runs out."""
    return await lease_of(books, 300)


@pytest.fixture
async def long_held(books: Books) -> tuple[Flaky, Lease]:
    """A lease that does not run out when the machine is slow."""
    return await lease_of(books, 1500)


async def renewed(ledger: Flaky, times: int) -> None:
    while ledger.renewals < times:
        await asyncio.sleep(0.01)


async def test_the_lease_is_renewed_for_as_long_as_the_work_takes(long_held: tuple[Flaky, Lease], books: Books) -> None:
    ledger, lease = long_held
    async with holding(ledger, lease):
        await renewed(ledger, 4)
    assert await books.redis.get(books.keys.lease(lease.id)) == b"1"
    tries = ledger.renewals
    await asyncio.sleep(0.6)
    assert ledger.renewals == tries


async def test_work_that_ends_at_once_asks_for_nothing(long_held: tuple[Flaky, Lease]) -> None:
    ledger, lease = long_held
    async with holding(ledger, lease):
        pass
    assert ledger.renewals == 0


async def test_trouble_of_the_work_comes_out_as_it_is(held: tuple[Flaky, Lease]) -> None:
    with pytest.raises(ValueError, match="its own"):
        async with holding(*held):
            raise ValueError("its own")


async def test_work_without_a_lease_is_stopped(held: tuple[Flaky, Lease], books: Books) -> None:
    stopped = asyncio.Event()

    async def work() -> None:
        async with holding(*held):
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    await books.expire(held[1])
    with pytest.raises(LeaseLost):
        await work()
    task = asyncio.current_task()
    assert task
    assert (stopped.is_set(), task.cancelling()) == (True, 0)


async def test_work_somebody_else_took_over_is_stopped(held: tuple[Flaky, Lease], books: Books) -> None:
    ledger, lease = held
    await books.expire(lease)
    assert await ledger.take_event(lease.id, 1)
    with pytest.raises(LeaseLost):
        async with holding(ledger, lease):
            await asyncio.Event().wait()
    assert await books.redis.get(books.keys.lease(lease.id)) == b"2"


async def test_a_redis_that_is_away_for_a_moment_stops_nothing(long_held: tuple[Flaky, Lease]) -> None:
    ledger, lease = long_held
    ledger.fails = 1
    async with holding(ledger, lease):
        await renewed(ledger, 3)


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_redis_that_stays_away_stops_the_work_when_the_lease_must_have_run_out(
    held: tuple[Flaky, Lease], how: str
) -> None:
    ledger, lease = held
    setattr(ledger, how, 1_000_000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(LeaseLost):
        async with holding(ledger, lease):
            await asyncio.Event().wait()
    assert loop.time() - began >= 0.29
    assert ledger.renewals <= 3


async def test_whoever_is_told_to_stop_stops_and_lets_the_lease_be(
    long_held: tuple[Flaky, Lease], books: Books
) -> None:
    async def work() -> None:
        async with holding(*long_held):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await books.redis.get(books.keys.lease(long_held[1].id)) == b"1"


async def test_a_stop_is_not_mistaken_for_a_lost_lease(held: tuple[Flaky, Lease], books: Books) -> None:
    cleaning = asyncio.Event()

    async def work() -> None:
        async with holding(*held):
            try:
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await asyncio.sleep(0.3)

    await books.expire(held[1])
    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaning.is_set()
