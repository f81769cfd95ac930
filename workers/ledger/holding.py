"""Keeping a lease while the work goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError

from workers.ledger.ledger import LeaseLost, Ledger
from workers.ledger.records import Lease


@asynccontextmanager
async def holding(ledger: Ledger, lease: Lease) -> AsyncIterator[None]:
    """Renew the lease every third of its life; once it is lost, cancel the work inside and raise LeaseLost.

    A Redis that does not answer is not yet a lost lease: the work goes on until the lease must have run out, and not
    longer, however long the answer takes.
    """
    work = asyncio.current_task()
    assert work is not None
    lost = False

    async def keep() -> None:
        nonlocal lost
        try:
            await _renew(ledger, lease)
        except LeaseLost:
            lost = True
            work.cancel()

    keeper = asyncio.create_task(keep())
    try:
        yield
    except asyncio.CancelledError:
        if not lost:
            raise
        if work.uncancel():
            raise  # somebody else wants the work to end as well
        raise LeaseLost(lease.id) from None
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _renew(ledger: Ledger, lease: Lease) -> None:
    loop = asyncio.get_running_loop()
    life = ledger.lease_ms / 1000
    end = loop.time() + life
    while True:
        await asyncio.sleep(min(life / 3, end - loop.time()))
        asked = loop.time()
        with suppress(RedisError, OSError):
            async with asyncio.timeout_at(end):
                await ledger.renew(lease)
            end = asked + life
        if loop.time() >= end:
            raise LeaseLost(lease.id)
