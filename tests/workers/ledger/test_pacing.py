"""The pace of a sink that has a rate, over all workers."""

import asyncio

import pytest
from redis.asyncio import Redis

from config.contracts.errors import NotYet
from config.contracts.reasons import Reason
from config.keys import Keys
from config.units import PerTime
from workers.ledger.ledger import Ledger
from workers.ledger.pacing import Pacing


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long everybody was told to wait; nobody does."""
    told: list[float] = []

    async def note(seconds: float) -> None:
        told.append(seconds)

    monkeypatch.setattr("workers.ledger.pacing.asyncio.sleep", note)
    return told


def two(redis: Redis) -> tuple[Pacing, Pacing]:
    return Pacing(Ledger(redis, Keys("rr"))), Pacing(Ledger(redis, Keys("rr")))


async def test_requests_of_all_workers_are_spaced_evenly(redis: Redis, waits: list[float]) -> None:
    one, other = two(redis)
    for _ in range(4):
        await one.pace("crm", PerTime(1, 2.0))
        await other.pace("crm", PerTime(1, 2.0))
    assert [round(wait / 2) for wait in waits] == [0, 1, 2, 3, 4, 5, 6, 7]


async def test_each_sink_has_a_pace_of_its_own(redis: Redis, waits: list[float]) -> None:
    one, other = two(redis)
    await one.pace("crm", PerTime(1, 60.0))
    await other.pace("erp", PerTime(1, 60.0))
    assert waits == [0, 0]


async def test_who_would_wait_long_gives_the_slot_to_others(redis: Redis, waits: list[float]) -> None:
    one, other = two(redis)
    await one.pace("crm", PerTime(1, 900.0))
    for _ in range(2):
        with pytest.raises(NotYet) as raised:
            await other.pace("crm", PerTime(1, 900.0))
        assert raised.value.reason is Reason.PACED
        assert 870 < raised.value.wait <= 880, "no moment is taken by who does not use it"
    assert waits == [0]


async def test_a_thousand_a_second_are_a_thousand_a_second(redis: Redis, waits: list[float]) -> None:
    one, _ = two(redis)
    began = await redis.time()
    await asyncio.gather(*(one.pace("crm", PerTime(1000, 1.0)) for _ in range(300)))
    ended = await redis.time()
    passed = (ended[0] - began[0]) + (ended[1] - began[1]) / 1e6
    assert max(waits) + passed >= 0.299
