"""Events that no route wanted, planned anew; and what could not be deleted after a run, retried and given up."""

import pytest
from redis.exceptions import ResponseError

from config.contracts.after import AfterState
from config.contracts.event import EventState
from tests.workers.ledger.books import Books, about, after, delivery, run
from workers.ledger.letters import Outcome, dead_letter, dead_letters, drop, replan, retry
from workers.ledger.records import AfterRecord, EventRecord

WISH = after("dataset")


async def unmatched(books: Books) -> EventRecord:
    lease = await books.taken_event()
    await books.ledger.plan(lease, EventState.UNMATCHED, run=run(), deliveries=[], documents={}, reason="no_route")
    event = await books.ledger.event(lease.id)
    assert event
    return event


async def undeleted(books: Books) -> AfterRecord:
    """What the platform refused to delete."""
    one = delivery()
    await books.plan(one, after=WISH)
    await books.end(one)
    await books.overdue("af", WISH.id)
    await books.ledger.sweep(10)
    taken = await books.ledger.take_after(WISH.id, 1)
    assert taken
    await books.ledger.finish(taken[0], AfterState.DEAD, attempt=3, trouble=9, reason="source_refused", detail="no")
    letter = await dead_letter(books.ledger, "af", WISH.id)
    assert isinstance(letter, AfterRecord)
    return letter


@pytest.mark.parametrize(("effects", "via"), [(False, "replay"), (True, "replay+effects")])
async def test_it_goes_back_to_the_inbox_with_its_body(books: Books, effects: bool, via: str) -> None:
    event = await unmatched(books)
    assert await replan(books.ledger, event, effects=effects) is Outcome.DONE
    now = await books.ledger.event(event.id)
    assert now
    assert (now.state, now.via, now.reason, now.ended, now.body) == (EventState.ACCEPTED, via, "", 0, b"{}")
    assert await books.due() == {f"ev:{event.id}": about(30)}
    assert await books.queued() == [f"{event.id}:2"]
    taken = await books.ledger.take_event(event.id, 2)
    assert taken
    await books.ledger.plan(taken[0], EventState.PLANNED, run=run(), deliveries=[delivery()], documents={"sha1": b"{}"})
    planned = await books.ledger.event(event.id)
    assert planned
    assert (planned.state, planned.deliveries) == (EventState.PLANNED, (delivery().id,))


async def test_one_that_was_replanned_already_stays_as_it_is(books: Books) -> None:
    event = await unmatched(books)
    assert await replan(books.ledger, event, effects=False) is Outcome.DONE
    before = await books.snapshot()
    assert await replan(books.ledger, event, effects=True) is Outcome.CHANGED
    assert await books.snapshot() == before


async def test_one_that_ended_unmatched_once_more_is_another_one(books: Books) -> None:
    event = await unmatched(books)
    await books.set("ev", event.id, ended=event.ended + 1)
    assert await replan(books.ledger, event, effects=False) is Outcome.CHANGED
    assert await books.queued() == []


async def test_what_a_route_wanted_is_not_planned_anew(books: Books) -> None:
    lease = await books.plan(delivery())
    event = await books.ledger.event(lease.id)
    assert event
    assert await replan(books.ledger, event, effects=False) is Outcome.CHANGED


async def test_one_that_broke_off_half_way_is_still_unmatched(books: Books) -> None:
    event = await unmatched(books)
    await books.redis.delete("rr:due")
    await books.redis.set("rr:due", "nothing of the kind")
    with pytest.raises(ResponseError):
        await replan(books.ledger, event, effects=False)
    await books.redis.delete("rr:due")
    assert await replan(books.ledger, event, effects=False) is Outcome.DONE


async def test_what_could_not_be_deleted_is_listed_and_retried(books: Books) -> None:
    letter = await undeleted(books)
    assert [one async for one in dead_letters(books.ledger)] == [letter]
    assert await retry(books.ledger, letter) is Outcome.DONE
    now = await books.ledger.after(WISH.id)
    assert now
    assert (now.state, now.attempt, now.trouble, now.ended) == (AfterState.WAITING, 0, 0, 0)
    assert await books.due() == {f"af:{WISH.id}": about(30)}
    assert [one async for one in dead_letters(books.ledger)] == []
    assert await retry(books.ledger, letter) is Outcome.CHANGED


async def test_what_could_not_be_deleted_is_given_up_for_good(books: Books) -> None:
    letter = await undeleted(books)
    assert await drop(books.ledger, letter) is Outcome.DONE
    now = await books.ledger.after(WISH.id)
    assert now
    assert (now.state, now.state.final) == (AfterState.DROPPED, True)
    assert (await books.due(), await drop(books.ledger, letter)) == ({}, Outcome.CHANGED)
