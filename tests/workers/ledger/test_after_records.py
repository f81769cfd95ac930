"""What comes after: the end of the last delivery of a finish begins it, in one script, once."""

import pytest
from redis.exceptions import ResponseError

from config.contracts.after import AfterState
from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from tests.workers.ledger.books import Books, about, after, delivery
from workers.ledger.records import AfterRecord

LATER = "2026-02-01T00:00:00.000Z"
WISH = after("dataset", "run")


async def test_the_last_end_begins_it_two_minutes_later(books: Books) -> None:
    rows, files = delivery("rows"), delivery("log")
    planned = await books.plan(rows, files, after=WISH)
    await books.end(files)
    assert await books.ledger.after(WISH.id) is None
    assert list(await books.due()) == [f"dl:{rows.id}"]
    await books.end(rows)
    record = await books.ledger.after(WISH.id)
    assert record == AfterRecord(after=WISH, state=AfterState.WAITING, at=record.at if record else 0)
    assert await books.due() == {f"af:{WISH.id}": about(120)}
    assert await books.queued() == []
    event = await books.ledger.event(planned.id)
    assert event
    assert await books.ledger.after_of(event) == record
    assert await books.redis.sismember("rr:run:apify:run1", f"af:{WISH.id}")  # type: ignore[misc]  # one signature for both clients


@pytest.mark.parametrize("state", [DeliveryState.PARTIAL, DeliveryState.DEAD, DeliveryState.DROPPED])
async def test_it_begins_whatever_the_ends_are_and_its_turn_judges_them(books: Books, state: DeliveryState) -> None:
    await books.plan(delivery(), after=WISH)
    await books.end(delivery(), state)
    assert list(await books.due()) == [f"af:{WISH.id}"]


async def test_nothing_begins_where_nothing_is_wanted(books: Books) -> None:
    await books.plan(delivery())
    await books.end(delivery())
    assert (await books.due(), await books.ledger.after(WISH.id)) == ({}, None)


async def test_another_life_of_the_run_holds_nothing_up(books: Books) -> None:
    other = delivery(life=LATER)
    await books.plan(other, body=b"later")
    await books.plan(delivery(), after=WISH)
    await books.end(delivery())
    assert sorted(await books.due()) == sorted([f"af:{WISH.id}", f"dl:{other.id}"])


async def test_deliveries_of_a_second_announcement_are_waited_for(books: Books) -> None:
    rows, late = delivery("rows"), delivery("late")
    await books.plan(rows, after=WISH)
    await books.plan(rows, late, body=b"second", after=WISH)
    await books.end(rows)
    assert list(await books.due()) == [f"dl:{late.id}"]
    await books.end(late)
    assert list(await books.due()) == [f"af:{WISH.id}"]


async def test_it_begins_once(books: Books) -> None:
    rows, late = delivery("rows"), delivery("late")
    await books.plan(rows, after=WISH)
    await books.end(rows)
    await books.overdue("af", WISH.id)
    assert await books.ledger.sweep(10) == 1
    taken = await books.ledger.take_after(WISH.id, 1)
    assert taken
    await books.ledger.finish(taken[0], AfterState.DONE)
    done = await books.ledger.after(WISH.id)
    await books.plan(late, body=b"second", after=WISH)
    await books.end(late)
    assert await books.ledger.after(WISH.id) == done
    assert await books.due() == {}


async def test_the_end_of_an_event_or_of_itself_begins_nothing(books: Books) -> None:
    await books.plan(delivery(), after=WISH)
    event = await books.taken_event(b"other")
    await books.ledger.finish(event, EventState.DEAD)
    assert list(await books.due()) == [f"dl:{delivery().id}"]


async def test_a_beginning_that_broke_off_half_way_comes_again(books: Books) -> None:
    one = delivery()
    await books.plan(one, after=WISH)
    taken = await books.ledger.take_delivery(one.id, 1)
    assert taken
    members = await books.redis.zrange("rr:due", 0, -1, withscores=True)
    await books.redis.delete("rr:due")
    await books.redis.set("rr:due", "nothing of the kind")
    with pytest.raises(ResponseError):
        await books.ledger.finish(taken[0], DeliveryState.DELIVERED)
    await books.redis.delete("rr:due")
    await books.redis.zadd("rr:due", {member.decode(): score for member, score in members})
    record = await books.ledger.delivery(one.id)
    assert record
    assert record.state is DeliveryState.RUNNING
    await books.ledger.finish(taken[0], DeliveryState.DELIVERED)
    assert list(await books.due()) == [f"af:{WISH.id}"]


async def test_its_turn_is_woken_taken_handed_back_and_swept_like_any_other(books: Books) -> None:
    await books.plan(delivery(), after=WISH)
    await books.end(delivery())
    assert await books.ledger.sweep(10) == 0
    await books.overdue("af", WISH.id)
    assert await books.ledger.sweep(10) == 1
    assert await books.queued() == [f"{WISH.id}:1"]
    job = await books.redis.get(f"arq:job:{WISH.id}:1")
    assert job
    assert b'"f":"after"' in job
    assert await books.ledger.take_after(WISH.id, 7) is None
    taken = await books.ledger.take_after(WISH.id, 1)
    assert taken
    lease, record = taken
    assert record.state is AfterState.RUNNING
    await books.expire(lease)
    await books.overdue("af", WISH.id)
    assert await books.ledger.sweep(10) == 1
    again = await books.ledger.take_after(WISH.id, 2)
    assert again
    await books.ledger.hand_back(again[0], AfterState.PAUSED.value, wait=60, reason="source_token_refused", attempt=1)
    assert await books.due() == {f"af:{WISH.id}": about(60)}
    paused = await books.ledger.after(WISH.id)
    assert paused
    assert (paused.state, paused.reason, paused.attempt) == (AfterState.PAUSED, "source_token_refused", 1)


@pytest.mark.parametrize("state", [AfterState.DONE, AfterState.KEPT, AfterState.DEAD])
async def test_its_end_leaves_nothing_to_do(books: Books, state: AfterState) -> None:
    await books.plan(delivery(), after=WISH)
    await books.end(delivery())
    await books.overdue("af", WISH.id)
    await books.ledger.sweep(10)
    taken = await books.ledger.take_after(WISH.id, 1)
    assert taken
    await books.ledger.finish(taken[0], state, reason="superseded", detail="d")
    record = await books.ledger.after(WISH.id)
    assert record
    assert (record.state, record.reason, record.detail) == (state, "superseded", "d")
    assert record.state.final
    assert (await books.due(), await books.queued()) == ({}, [])
    dead = [member.decode() for member in await books.redis.zrange(books.keys.dead, 0, -1)]
    assert dead == ([f"af:{WISH.id}"] if state is AfterState.DEAD else [])
    await books.redis.zadd(books.keys.due, {f"af:{WISH.id}": 1})
    assert await books.ledger.sweep(10) == 0
    assert await books.ledger.take_after(WISH.id, 1) is None
