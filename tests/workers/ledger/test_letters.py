"""Dead letters: retried where they stopped, given up, and nothing else; what comes after them comes after all."""

import msgspec
import pytest
from redis.exceptions import ResponseError

from config.contracts.after import AfterState
from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt
from config.contracts.event import EventState
from tests.workers.ledger.books import LIFE, Books, about, after, delivery
from workers.ledger.letters import Letter, Outcome, dead_letter, dead_letters, drop, name_of, retry

LATER = "2026-02-01T00:00:00.000Z"
WISH = after("dataset")
ROW = Receipt(route="all", target="rows", sink="disk", stream="items:default", read=500, delivered=500)
STOPPED = Checkpoint(offset=500, batch=5, position={"bytes": 12}, receipts=(ROW,))


async def died(books: Books, one: Delivery, at: Checkpoint = STOPPED) -> Letter:
    """The dead letter of a planned delivery."""
    taken = await books.ledger.take_delivery(one.id, int(await books.field("dl", one.id, "seq") or 0))
    assert taken
    await books.ledger.finish(
        taken[0],
        DeliveryState.DEAD,
        checkpoint=msgspec.json.encode(at),
        attempt=4,
        trouble=77,
        reason="target_refused",
        detail="HTTP 404",
    )
    letter = await dead_letter(books.ledger, "dl", one.id)
    assert letter
    return letter


async def dead_event(books: Books, body: bytes = b"{}") -> Letter:
    lease = await books.taken_event(body)
    await books.ledger.finish(lease, EventState.DEAD, attempt=4, reason="run_not_found", detail="HTTP 404")
    letter = await dead_letter(books.ledger, "ev", lease.id)
    assert letter
    return letter


def id_of(letter: Letter) -> str:
    return name_of(letter)[1]


async def listed(books: Books) -> list[str]:
    return [member.decode() for member in await books.redis.zrange(books.keys.dead, 0, -1)]


async def test_a_retried_delivery_goes_on_at_its_checkpoint_with_its_tries_counted_afresh(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    waited = msgspec.structs.replace(STOPPED, waits=4, unsettled=30.0, timeouts=2, restarts=3)
    letter = await died(books, one, waited)
    assert await retry(books.ledger, letter) is Outcome.DONE
    assert await listed(books) == []
    assert await books.due() == {f"dl:{one.id}": about(30)}
    assert await books.queued() == [f"{one.id}:2"]
    taken = await books.ledger.take_delivery(one.id, 2)
    assert taken
    record = taken[1]
    assert record.checkpoint == STOPPED
    assert (record.attempt, record.trouble, record.ended, record.broken_off) == (0, 0, 0, False)


async def test_a_retried_event_is_planned_again(books: Books) -> None:
    letter = await dead_event(books)
    assert await retry(books.ledger, letter) is Outcome.DONE
    (member,) = await books.due()
    taken = await books.ledger.take_event(member[3:], 2)
    assert taken
    assert (taken[1].attempt, taken[1].body, taken[1].ended) == (0, b"{}", 0)
    assert await listed(books) == []


async def test_a_letter_that_was_retried_already_stays_as_it_is(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    first = await died(books, one)
    assert await retry(books.ledger, first) is Outcome.DONE
    before = await books.snapshot()
    assert await retry(books.ledger, first) is Outcome.CHANGED
    assert await drop(books.ledger, first) is Outcome.CHANGED
    assert await books.snapshot() == before


async def test_one_that_died_again_further_on_is_not_thrown_back(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    first = await died(books, one)
    await retry(books.ledger, first)
    further = msgspec.structs.replace(STOPPED, offset=900, batch=9)
    await died(books, one, further)
    await books.set("dl", one.id, ended=first.ended + 1)
    assert await retry(books.ledger, first) is Outcome.CHANGED
    record = await books.ledger.delivery(one.id)
    assert record
    assert (record.state, record.checkpoint) == (DeliveryState.DEAD, further)


@pytest.mark.parametrize("state", [one for one in DeliveryState if one is not DeliveryState.DEAD])
async def test_what_is_not_dead_can_be_neither_retried_nor_dropped(books: Books, state: DeliveryState) -> None:
    one = delivery()
    await books.plan(one)
    letter = await died(books, one)
    await books.set("dl", one.id, state=state.value)
    assert await dead_letter(books.ledger, "dl", one.id) is None
    assert [await retry(books.ledger, letter), await drop(books.ledger, letter)] == [Outcome.CHANGED] * 2


@pytest.mark.parametrize("newer", [delivery(life=LATER), delivery(generation=1)])
async def test_rows_that_a_later_delivery_took_over_are_not_sent_twice(books: Books, newer: Delivery) -> None:
    one = delivery()
    await books.plan(one)
    letter = await died(books, one)
    await books.plan(newer, body=b"later")
    await books.set("dl", newer.id, at=await books.now() + 1)
    assert await retry(books.ledger, letter) is Outcome.SUPERSEDED
    assert await listed(books) == [f"dl:{one.id}"]
    assert await drop(books.ledger, letter) is Outcome.DONE


@pytest.mark.parametrize(
    "other", [delivery("log", life=LATER), delivery(life=LATER, route="x"), delivery(life="2026-01-01T00:00:00.000Z")]
)
async def test_deliveries_to_other_places_or_of_earlier_finishes_take_nothing_over(
    books: Books, other: Delivery
) -> None:
    one = delivery()
    await books.plan(one)
    letter = await died(books, one)
    await books.plan(other, body=b"other")
    await books.set("dl", other.id, at=await books.now() + 1)
    assert await retry(books.ledger, letter) is Outcome.DONE


async def test_replays_of_two_finishes_made_together_do_not_take_each_other_over(books: Books) -> None:
    one, later = delivery(generation=1), delivery(life=LATER, generation=1)
    await books.plan(one, later)
    letter = await died(books, one)
    await books.set("dl", one.id, at=7)
    await books.set("dl", later.id, at=7)
    assert await retry(books.ledger, letter) is Outcome.DONE


async def test_what_is_dropped_is_final_and_no_dead_letter_any_more(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    assert await drop(books.ledger, await died(books, one)) is Outcome.DONE
    record = await books.ledger.delivery(one.id)
    assert record
    assert (record.state, record.state.final, record.reason) == (DeliveryState.DROPPED, True, "target_refused")
    assert (await listed(books), await books.due(), await books.queued()) == ([], {}, [])
    assert await books.ledger.take_delivery(one.id, 1) is None


async def test_a_dropped_event_is_final(books: Books) -> None:
    letter = await dead_event(books)
    assert await drop(books.ledger, letter) is Outcome.DONE
    (event,) = await books.ledger.newest_events(2)
    assert (event.state, event.state.final, await listed(books)) == (EventState.DROPPED, True, [])


async def test_a_retry_that_broke_off_half_way_leaves_a_dead_letter(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    letter = await died(books, one)
    await books.redis.set("rr:due", "nothing of the kind")
    with pytest.raises(ResponseError):
        await retry(books.ledger, letter)
    await books.redis.delete("rr:due")
    assert await dead_letter(books.ledger, "dl", one.id)
    assert await retry(books.ledger, letter) is Outcome.DONE


async def test_letters_are_listed_newest_first_without_bodies_and_without_what_is_gone(books: Books) -> None:
    one, other = delivery(), delivery("log")
    event = await dead_event(books, b"a large body")
    await books.plan(one, other)
    await died(books, one)
    await died(books, other)
    scores = {f"dl:{one.id}": 3, f"dl:{other.id}": 2, "af:x": 5, "dl:gone": 4}
    await books.redis.zadd(books.keys.dead, scores)
    assert [id_of(each) async for each in dead_letters(books.ledger)] == [id_of(event), one.id, other.id]
    assert [getattr(each, "body", b"") async for each in dead_letters(books.ledger)] == [b"", b"", b""]


async def test_more_letters_than_one_page_are_all_listed(books: Books) -> None:
    ones = [delivery(f"t{n}") for n in range(51)]
    await books.plan(*ones)
    for one in ones:
        await died(books, one)
    assert {id_of(each) async for each in dead_letters(books.ledger)} == {one.id for one in ones}


# what comes after


async def kept(books: Books, reason: str) -> None:
    """The turn of what comes after has found something against it."""
    await books.overdue("af", WISH.id)
    await books.ledger.sweep(10)
    taken = await books.ledger.take_after(WISH.id, int(await books.field("af", WISH.id, "seq") or 0))
    assert taken
    await books.ledger.finish(taken[0], AfterState.KEPT, reason=reason, detail="d")


async def test_a_dead_letter_that_is_delivered_after_all_begins_what_comes_after_once_more(books: Books) -> None:
    one = delivery()
    await books.plan(one, after=WISH)
    letter = await died(books, one)
    await kept(books, "not_delivered")
    await retry(books.ledger, letter)
    await books.end(one)
    record = await books.ledger.after(WISH.id)
    assert record
    assert (record.state, record.reason, record.detail, record.ended) == (AfterState.WAITING, "", "", 0)
    assert await books.due() == {f"af:{WISH.id}": about(120)}
    await books.overdue("af", WISH.id)
    assert await books.ledger.sweep(10) == 1
    assert await books.queued() == [f"{WISH.id}:2"]
    assert await books.ledger.take_after(WISH.id, 1) is None
    assert await books.ledger.take_after(WISH.id, 2)


async def test_what_was_kept_for_a_later_finish_stays_kept(books: Books) -> None:
    one = delivery()
    await books.plan(one, after=WISH)
    letter = await died(books, one)
    await kept(books, "superseded")
    await retry(books.ledger, letter)
    await books.end(one)
    record = await books.ledger.after(WISH.id)
    assert record
    assert (record.state, await books.due()) == (AfterState.KEPT, {})


async def test_a_retry_under_way_is_waited_for(books: Books) -> None:
    one, other = delivery(), delivery("log")
    await books.plan(one, other, after=WISH)
    letter = await died(books, one)
    await retry(books.ledger, letter)
    await books.end(other)
    assert list(await books.due()) == [f"dl:{one.id}"]
    await books.end(one)
    assert list(await books.due()) == [f"af:{WISH.id}"]


def test_the_days_are_in_order() -> None:
    assert LIFE < LATER
