"""How often the things of a platform are asked. Time is a number here, and sleeping moves it."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.api import Rate
from workers.fetch.rates import SPAN, Rates

SIXTY = Rate("datasets/d", 60.0)
MOMENTS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.1, 0.4, 3.0]), max_size=200)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += seconds


def rates(clock: Clock, in_all: float = math.inf, kept: int = 1024) -> Rates:
    return Rates(in_all, kept=kept, now=clock, sleep=clock.sleep)


async def moments(bucket: Rates, clock: Clock, rate: Rate, count: int) -> list[float]:
    """When each of so many requests, wanted as soon as possible, may go."""
    went = []
    for _ in range(count):
        await bucket.turn(rate)
        went.append(clock.now)
    return went


def most_in_a_span(went: list[float]) -> int:
    return max((sum(start <= moment < start + SPAN - 1e-6 for moment in went) for start in went), default=0)


async def test_below_the_limit_nobody_waits() -> None:
    clock = Clock()
    assert await moments(rates(clock), clock, SIXTY, 60) == [0.0] * 60
    assert clock.slept == []


async def test_who_wants_more_waits_for_the_next_span() -> None:
    clock = Clock()
    went = await moments(rates(clock), clock, SIXTY, 130)
    assert went == [0.0] * 60 + [pytest.approx(SPAN)] * 60 + [pytest.approx(2 * SPAN)] * 10


@given(st.integers(1, 80), MOMENTS)
async def test_no_span_ever_holds_more_than_the_limit(limit: int, pauses: list[float]) -> None:
    clock, went = Clock(), []
    bucket = rates(clock)
    for pause in pauses:
        clock.now += pause
        await bucket.turn(Rate("x", limit))
        went.append(clock.now)
    assert most_in_a_span(went) <= limit


async def test_an_unlimited_thing_never_waits() -> None:
    clock = Clock()
    assert await moments(rates(clock), clock, Rate("", math.inf), 5000) == [0.0] * 5000


async def test_things_do_not_wait_for_each_other() -> None:
    clock = Clock()
    bucket = rates(clock)
    await moments(bucket, clock, SIXTY, 60)
    await moments(bucket, clock, Rate("datasets/e", 60.0), 60)
    assert clock.slept == []


async def test_all_things_together_have_a_limit_too() -> None:
    clock = Clock()
    bucket = rates(clock, in_all=5)
    for index in range(6):
        await bucket.turn(Rate(f"datasets/{index}", 60.0))
    assert clock.slept == [pytest.approx(SPAN)]


async def test_after_a_429_a_thing_is_asked_half_as_often_for_ten_seconds() -> None:
    clock = Clock()
    bucket = rates(clock)
    bucket.refused(SIXTY)
    went = await moments(bucket, clock, SIXTY, 500)
    tired = [moment for moment in went if moment < 10.0]
    assert most_in_a_span(tired) == 30
    assert len(tired) == 30 * math.ceil(10.0 / SPAN)
    assert most_in_a_span([moment for moment in went if 10.0 < moment < 10.0 + SPAN]) == 60


async def test_half_of_an_odd_limit_is_rounded_down_but_never_to_nothing() -> None:
    for limit, half in ((5.0, 2), (1.0, 1)):
        clock = Clock()
        bucket = rates(clock)
        bucket.refused(Rate("x", limit))
        assert most_in_a_span(await moments(bucket, clock, Rate("x", limit), 6)) == half


async def test_a_429_concerns_its_own_thing_only() -> None:
    clock = Clock()
    bucket = rates(clock)
    bucket.refused(Rate("datasets/e", 60.0))
    assert await moments(bucket, clock, SIXTY, 60) == [0.0] * 60


@pytest.mark.parametrize(("told", "at_once"), [(20.0, 20), (1.0, 1), (0.5, 1), (61.0, 60), (250_000.0, 60)])
async def test_a_limit_the_platform_names_counts_where_it_is_lower(told: float, at_once: int) -> None:
    clock = Clock()
    bucket = rates(clock)
    bucket.told(SIXTY, told)
    assert (await moments(bucket, clock, SIXTY, 61)).count(0.0) == at_once


async def test_a_limit_that_is_raised_again_counts_again() -> None:
    clock = Clock()
    bucket = rates(clock)
    bucket.told(SIXTY, 1.0)
    bucket.told(SIXTY, 100.0)
    assert (await moments(bucket, clock, SIXTY, 61)).count(0.0) == 60


async def test_first_come_first_served() -> None:
    clock, order = Clock(), []
    bucket = rates(clock)

    async def ask(index: int) -> None:
        await bucket.turn(Rate("x", 2.0))
        order.append(index)

    async with asyncio.TaskGroup() as group:
        for index in range(20):
            group.create_task(ask(index))
    assert order == list(range(20))


async def test_who_stops_waiting_has_cost_nothing() -> None:
    clock = Clock()
    bucket, one = rates(clock), Rate("x", 1.0)
    await bucket.turn(one)
    waiting = [asyncio.create_task(bucket.turn(one)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in waiting[:9]:
        task.cancel()
    await asyncio.wait(waiting)
    assert [task.cancelled() for task in waiting] == [True] * 9 + [False]
    assert clock.now == pytest.approx(SPAN)


async def test_the_thing_asked_longest_ago_is_forgotten() -> None:
    clock = Clock()
    bucket = rates(clock, kept=2)
    first, second, third = Rate("a", 2.0), Rate("b", 1.0), Rate("c", 1.0)
    for rate in (first, second, first, third):
        await bucket.turn(rate)
    assert bucket.things == 2
    await bucket.turn(second)
    assert clock.slept == []
    await bucket.turn(third)
    assert clock.slept == [pytest.approx(SPAN)]


async def test_a_thing_somebody_waits_for_is_not_forgotten() -> None:
    clock, held = Clock(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await held.wait()
        clock.now += seconds

    bucket = Rates(kept=1, now=clock, sleep=sleep)
    await bucket.turn(Rate("busy", 1.0))
    waiting = asyncio.create_task(bucket.turn(Rate("busy", 1.0)))
    await asyncio.sleep(0)
    for index in range(5):
        await bucket.turn(Rate(f"datasets/{index}", 1.0))
    assert bucket.things == 2
    held.set()
    await waiting
    assert clock.now == pytest.approx(SPAN)
