"""What all workers together remember of messages to people."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import pytest
from redis.asyncio import Redis

from config.contracts.errors import NotYet, Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Box, Bundle
from config.keys import Keys
from workers.ledger.collecting import Collected
from workers.ledger.ledger import Ledger

HOUR = Box("oncall/oncall", window=3600.0, most=3)


def collected(redis: Redis, *, longest: float = 120.0) -> Collected:
    """As another worker has it."""
    return Collected(Ledger(redis, Keys("rr")), longest=longest)


async def ask(one: Collected, box: Box, id: str) -> Bundle | str | None:
    """The bundle, None if it went out, or why not."""
    try:
        return await one.ask(box, id, f"text of {id}".encode())
    except (NotYet, Permanent) as no:
        return no.reason.value


async def given(one: Collected, box: Box, id: str) -> Bundle:
    bundle = await ask(one, box, id)
    assert isinstance(bundle, Bundle), bundle
    return bundle


async def open_up(redis: Redis) -> None:
    """The window is over."""
    await cast("Awaitable[int]", redis.hset("rr:box:oncall/oncall", "until", "0"))


async def texts(redis: Redis) -> int:
    return await cast("Awaitable[int]", redis.hlen("rr:box:oncall/oncall:text"))


async def names(redis: Redis) -> set[str]:
    return {key.decode() async for key in redis.scan_iter()}


async def test_the_first_goes_at_once_and_those_that_follow_wait_for_the_window(redis: Redis) -> None:
    one, other = collected(redis), collected(redis)
    first = await given(one, HOUR, "a")
    assert (first.texts, first.count, first.mine) == ((b"text of a",), 1, True)
    await one.sent(HOUR, first)
    with pytest.raises(NotYet) as raised:
        await other.ask(HOUR, "b", b"b")
    assert raised.value.reason is Reason.COLLECTING
    assert 3590 < raised.value.wait <= 3600
    assert await ask(one, HOUR, "a") is None


async def test_at_the_end_of_the_window_all_go_as_one_and_each_is_known_to_have_gone(redis: Redis) -> None:
    one, other = collected(redis), collected(redis)
    await one.sent(HOUR, await given(one, HOUR, "a"))
    assert [await ask(other, HOUR, id) for id in "bcdef"] == ["collecting"] * 5
    await open_up(redis)
    bundle = await given(one, HOUR, "d")
    assert (bundle.texts, bundle.count, bundle.mine) == ((b"text of b", b"text of c", b"text of d"), 5, True)
    assert [await ask(other, HOUR, id) for id in "bf"] == ["collecting"] * 2, "they wait until it is sent"
    await one.sent(HOUR, bundle)
    assert [await ask(other, HOUR, id) for id in "abcdef"] == [None] * 6
    assert await ask(other, HOUR, "g") == "collecting", "a window begins with each message"


async def test_of_all_workers_one_is_given_a_bundle(redis: Redis) -> None:
    workers = [collected(redis) for _ in range(8)]
    asked = await asyncio.gather(*(ask(one, HOUR, f"m{number}") for number, one in enumerate(workers)))
    assert sorted(isinstance(one, Bundle) for one in asked) == [False] * 7 + [True]


async def test_without_a_window_each_goes_at_once_and_leaves_no_more_than_a_mark(redis: Redis) -> None:
    one = collected(redis)
    for id in "ab":
        bundle = await given(one, Box(id), id)
        await one.sent(Box(id), bundle)
        assert await ask(one, Box(id), id) is None
    assert await names(redis) == {"rr:said:a", "rr:said:b"}
    assert 7 * 86_400 < await redis.ttl("rr:said:a") <= 8 * 86_400


async def test_what_failed_is_sent_as_it_was_by_whoever_comes_next(redis: Redis) -> None:
    one, other = collected(redis), collected(redis)
    first = await given(one, HOUR, "a")
    await one.reached(HOUR, first, "slack")
    await one.reached(HOUR, first, "mail")
    await one.failed(HOUR, first)
    again = await given(other, HOUR, "b")
    assert again == Bundle(first.name, (b"text of a",), 1, mine=False, reached=frozenset({"slack", "mail"}))
    await other.sent(HOUR, again)
    assert [await ask(one, HOUR, id) for id in "ab"] == [None, "collecting"]
    await open_up(redis)
    assert (await given(other, HOUR, "b")).reached == frozenset()


async def test_a_bundle_whose_sender_died_is_sent_again(redis: Redis) -> None:
    dead, one = collected(redis), collected(redis, longest=0.05)
    first = await given(one, HOUR, "a")
    assert await ask(one, HOUR, "b") == "collecting", "it is being sent"
    await asyncio.sleep(0.06)
    again = await given(one, HOUR, "b")
    assert (again.name, again.mine) == (first.name, False)
    await dead.sent(HOUR, first)
    assert await ask(one, HOUR, "a") is None


async def test_its_own_turn_that_broke_off_need_not_be_waited_for(redis: Redis) -> None:
    one = collected(redis)
    first = await given(one, HOUR, "a")
    assert await given(one, HOUR, "a") == first


async def test_who_does_not_send_twice_is_told_that_nobody_knows(redis: Redis) -> None:
    careful = Box(HOUR.name, HOUR.window, HOUR.most, again=False)
    one = collected(redis)
    await one.sent(careful, await given(one, careful, "a"))
    assert [await ask(one, careful, id) for id in "bc"] == ["collecting"] * 2
    await open_up(redis)
    await given(one, careful, "b")
    with pytest.raises(Permanent) as raised:
        await one.ask(careful, "b", b"")
    assert str(raised.value) == (
        "outcome_unknown: sending it broke off, and nobody knows whether it arrived; on_unknown is dead_letter: "
        "look there, then runrelay dlq retry or drop"
    )
    assert [await ask(one, careful, id) for id in "dc"] == ["collecting", "outcome_unknown"]
    await open_up(redis)
    assert (await given(one, careful, "b")).count == 2, "brought back by a person it is sent, with what waits"


async def test_what_is_refused_is_the_end_of_its_bundle_and_holds_up_nobody_else(redis: Redis) -> None:
    one = collected(redis)
    await one.sent(HOUR, await given(one, HOUR, "a"))
    assert [await ask(one, HOUR, id) for id in "bcd"] == ["collecting"] * 3
    await open_up(redis)
    await one.refused(HOUR, await given(one, HOUR, "b"))
    assert [await ask(one, HOUR, id) for id in "ecd"] == ["collecting", "item_refused", "item_refused"]
    await open_up(redis)
    bundle = await given(one, HOUR, "c")
    assert (bundle.texts, bundle.count) == ((b"text of e", b"text of c"), 2), "brought back by a person it is sent"


async def test_a_late_word_of_a_bundle_that_is_over_changes_nothing(redis: Redis) -> None:
    one = collected(redis)
    first = await given(one, HOUR, "a")
    await one.sent(HOUR, first)
    await open_up(redis)
    second = await given(one, HOUR, "b")
    await one.sent(HOUR, first)
    assert await ask(one, HOUR, "b") == second
    await one.failed(HOUR, first)
    assert await ask(one, HOUR, "c") == "collecting"
    await one.sent(HOUR, second)
    assert await ask(one, HOUR, "b") is None


async def test_memory_is_bounded_and_everything_is_forgotten_some_day(redis: Redis) -> None:
    one = collected(redis)
    await one.sent(HOUR, await given(one, HOUR, "a"))
    for number in range(50):
        assert await ask(one, HOUR, f"m{number}") == "collecting"
    assert await texts(redis) == HOUR.most
    assert all([await redis.ttl(key) > 0 for key in await names(redis)])
    await open_up(redis)
    bundle = await given(one, HOUR, "m7")
    assert (bundle.texts, bundle.count) == ((b"text of m0", b"text of m1", b"text of m2"), 50)
    await one.sent(HOUR, bundle)
    assert await texts(redis) == 0
