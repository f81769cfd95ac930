"""Messages that go out as one, and those that go out once: the notify sink with what all workers remember in Redis."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, cast

import pytest
from apprise.plugins.discord import NotifyDiscord
from redis.asyncio import Redis

from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Surroundings, Taken
from config.keys import Keys
from tests.workers.sinks.test_notify import DISCORD, opener, run_shipment, target, tell
from tests.workers.sinks.told import Phone, phone
from workers.ledger.collecting import Collected
from workers.ledger.ledger import Ledger
from workers.testing.contract import Connect
from workers.testing.shipments import around

STORM = {"for": "5m", "most": 12}


@pytest.fixture
async def far_side() -> AsyncIterator[Phone]:
    async with phone() as side:
        yield side


class Office:
    """Workers that tell one phone, and the time they share."""

    def __init__(self, redis: Redis, folder: Path, far_side: Phone) -> None:
        self.redis, self.folder, self.far_side = redis, folder, far_side

    def worker(self, *urls: str, longest: float = 120.0, **options: Any) -> Connect:
        collecting = Collected(Ledger(self.redis, Keys("rr")), longest=longest)
        lent = Surroundings(self.folder, around(self.folder).source, collecting=collecting)
        return opener(self.folder, list(urls) or self.far_side.url, lent, **options)

    async def window_over(self) -> None:
        await cast("Awaitable[int]", self.redis.hset("rr:box:out/out", "until", "0"))


@pytest.fixture
def office(redis: Redis, tmp_path: Path, far_side: Phone) -> Office:
    return Office(redis, tmp_path, far_side)


async def turn(connect: Connect, run: str, **options: Any) -> Taken | None:
    """One turn of a run's delivery; None if it has to wait for others."""
    try:
        return await tell(connect, run_shipment(target(**options), id=run))
    except NotYet:
        return None


def named(far_side: Phone) -> Counter[str]:
    return Counter(found for message in far_side.messages for found in re.findall(r"/view/runs/(\w+)", message))


async def test_twenty_failures_are_two_messages_that_name_each_run_once(office: Office, far_side: Phone) -> None:
    workers = [office.worker(collect={"for": "5m", "most": 20}) for _ in range(3)]
    runs = [f"run{number}" for number in range(20)]
    first = await asyncio.gather(*(turn(workers[n % 3], run) for n, run in enumerate(runs)))
    assert [one.out for one in first if one] == [1]
    await office.window_over()
    while waiting := [run for run, taken in zip(runs, first, strict=True) if taken is None]:
        later = dict(zip(waiting, await asyncio.gather(*(turn(workers[0], run) for run in waiting)), strict=True))
        first = [taken or later.get(run) for run, taken in zip(runs, first, strict=True)]
    assert named(far_side) == Counter(runs)
    assert len(far_side.messages) == 2
    assert far_side.messages[1].startswith("19 messages to out:\n- acme/shop FAILED after 3m 12s, $0.12 https://")
    assert far_side.told[1]["title"] == "19 messages to out"
    assert sorted((one.rows, one.out) for one in first if one) == [(1, 0)] * 18 + [(1, 1)] * 2


async def test_more_than_most_are_counted(office: Office, far_side: Phone) -> None:
    worker = office.worker(collect=STORM)
    for number in range(31):
        await turn(worker, f"run{number}")
    await office.window_over()
    await turn(worker, "run5")
    lines = far_side.messages[1].splitlines()
    assert len(lines) == 14
    assert (lines[0], lines[-1]) == ("30 messages to out:", "and 18 more")
    assert [await turn(worker, f"run{number}") for number in (0, 30)] == [Taken(1, 0, 0, {})] * 2


async def test_a_small_room_has_shorter_lines_and_every_link(
    office: Office, far_side: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{far_side.port}")
    worker = office.worker(DISCORD, collect={"for": "5m", "most": 100})
    for number in range(90):
        await turn(worker, f"run{number:014}", text="{{ actor.name }} " * 30)
        if number == 20:
            await office.window_over()
            await turn(worker, "run00000000000007")
    await office.window_over()
    await turn(worker, "run00000000000088")
    few, many = (one["content"] for one in far_side.told[1:])
    assert len(few) <= 2000
    assert (few.count("/view/runs/"), few.count(" more")) == (20, 20)
    assert len(many) <= 2000
    lines = many.splitlines()
    assert lines[0] == "69 messages to out:"
    assert lines[-1] == f"and {69 - (len(lines) - 2)} more"
    assert all(re.search(r"/view/runs/run\d{14}$", line) for line in lines[1:-1])


async def test_each_message_goes_once_whatever_is_tried_again(office: Office, far_side: Phone) -> None:
    for _ in range(3):
        await turn(office.worker(), "r1")
        await turn(office.worker(), "r2")
    assert named(far_side) == Counter({"r1": 1, "r2": 1})


async def test_killed_between_intent_and_sent_it_is_told_again(office: Office, far_side: Phone) -> None:
    far_side.pause = 5.0
    dying = asyncio.create_task(turn(office.worker(), "r1"))
    while not far_side.tried:
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    far_side.pause = 0.0
    assert await turn(office.worker(), "r1") is not None
    assert "r1" in named(far_side)


async def test_killed_between_intent_and_sent_it_ends_where_nothing_may_come_twice(
    office: Office, far_side: Phone
) -> None:
    far_side.pause = 5.0
    dying = asyncio.create_task(turn(office.worker(on_unknown="dead_letter"), "r1"))
    while not far_side.tried:
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    with pytest.raises(Permanent) as raised:
        await turn(office.worker(on_unknown="dead_letter"), "r1")
    assert raised.value.reason is Reason.OUTCOME_UNKNOWN
    assert far_side.tried == 1


async def test_an_answer_that_never_came_is_unknown_and_one_that_says_no_is_not(
    office: Office, far_side: Phone
) -> None:
    careful = office.worker(on_unknown="dead_letter", timeout="200ms")
    far_side.answers = [500]
    with pytest.raises(Transient):
        await turn(careful, "r1")
    assert await turn(careful, "r1") is not None
    far_side.pause = 1.0
    with pytest.raises(Transient):
        await turn(careful, "r2")
    with pytest.raises(Permanent):
        await turn(careful, "r2")
    assert far_side.tried == 3


async def test_a_storm_whose_sender_died_goes_out_by_another(office: Office, far_side: Phone) -> None:
    for run in ("r1", "r2", "r3"):
        await turn(office.worker(collect=STORM), run)
    await office.window_over()
    far_side.pause = 5.0
    dying = asyncio.create_task(turn(office.worker(collect=STORM, longest=0.1), "r2"))
    while far_side.tried < 2:
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    far_side.pause = 0.0
    await asyncio.sleep(0.1)
    assert await turn(office.worker(collect=STORM), "r4") is None, "it sends what was left, and waits itself"
    assert [await turn(office.worker(collect=STORM), run) for run in ("r2", "r3")] == [Taken(1, 0, 0, {})] * 2
    assert re.findall(r"/view/runs/(\w+)", far_side.messages[-1]) == ["r2", "r3"]


async def test_only_addresses_that_were_not_reached_are_told_again(office: Office, far_side: Phone) -> None:
    async with phone() as other:
        other.answers = [500, 429]
        urls = far_side.url, other.url
        for _ in range(2):
            with pytest.raises(Transient):
                await turn(office.worker(*urls), "r1")
        assert await turn(office.worker(*urls), "r1") is not None
        assert (far_side.tried, other.tried) == (1, 3)
        assert (len(far_side.told), len(other.told)) == (1, 1)


async def test_a_storm_that_is_refused_harms_nobody_who_comes_later(office: Office, far_side: Phone) -> None:
    worker = office.worker(collect=STORM)
    for run in ("r1", "r2", "r3"):
        await turn(worker, run)
    await office.window_over()
    far_side.answers = [500, 400]
    with pytest.raises(Transient):
        await turn(worker, "r2")
    assert await turn(worker, "r4") is None, "it tried what was left, and waits itself"
    for run in ("r2", "r3"):
        with pytest.raises(Permanent) as raised:
            await turn(worker, run)
        assert raised.value.reason is Reason.ITEM_REFUSED
    await office.window_over()
    assert await turn(worker, "r4") is not None
    assert re.findall(r"/view/runs/(\w+)", far_side.messages[-1]) == ["r4"]


async def test_a_message_alone_at_the_end_of_its_window_is_told_in_full(office: Office, far_side: Phone) -> None:
    worker = office.worker(collect=STORM)
    assert await turn(worker, "r1") is not None
    assert await turn(worker, "r2") is None
    await office.window_over()
    assert await turn(worker, "r2") is not None
    assert "out of memory" in far_side.messages[1]
