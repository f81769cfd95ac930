"""Replays: deliveries of their own, which rows are theirs, and what never follows them."""

from typing import Any

import pytest
from redis.exceptions import ResponseError

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt
from tests.workers.ledger.books import LIFE, Books, about, after, delivery
from workers.ledger.letters import Outcome, next_generation, replay
from workers.ledger.lives import Range, ranges, under_way_before
from workers.ledger.records import DeliveryRecord

LATER = "2026-02-01T00:00:00.000Z"


async def replayed(books: Books, *ones: Delivery) -> list[Outcome]:
    return await replay(books.ledger, "apify", "run1", [next_generation(one) for one in ones])


async def ended(books: Books, *ones: Delivery) -> str:
    """Planned and delivered; the id of their event."""
    lease = await books.plan(*ones)
    for one in ones:
        await books.end(one)
    return lease.id


async def test_a_replay_is_a_delivery_of_its_own_that_begins_at_the_beginning(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    again = next_generation(one)
    assert await replayed(books, one) == [Outcome.MADE]
    assert (again.generation, again.id != one.id) == (1, True)
    assert again == delivery(generation=1)
    assert await books.due() == {f"dl:{again.id}": about(30)}
    assert await books.queued() == [f"{again.id}:1"]
    record = await books.ledger.delivery(again.id)
    assert record == DeliveryRecord(
        delivery=again, state=DeliveryState.WAITING, checkpoint=Checkpoint(), at=record.at if record else 0
    )
    _, known = await books.ledger.of_run("apify", "run1")
    assert {each.delivery.id for each in known} == {one.id, again.id}
    assert again.id in {each.delivery.id for each in await books.ledger.newest_deliveries(5)}


async def test_a_replay_of_a_replay_is_generation_two(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    await replayed(books, one)
    again = next_generation(one)
    await books.end(again)
    assert await replayed(books, again) == [Outcome.MADE]
    assert next_generation(again) == delivery(generation=2)


async def test_its_event_shows_it(books: Books) -> None:
    await books.accept()
    event = await books.ledger.newest_events(1)
    one = delivery(event=event[0].id)
    await ended(books, one)
    await replayed(books, one)
    known = await books.ledger.event(event[0].id)
    assert known
    assert known.deliveries == (one.id, next_generation(one).id)


async def test_the_same_replay_is_made_once(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    await replayed(books, one)
    await books.end(next_generation(one))
    before = await books.snapshot()
    assert await replayed(books, one) == [Outcome.KNOWN]
    assert await books.snapshot() == before


@pytest.mark.parametrize("busy", [delivery(), delivery(life=LATER), delivery(generation=1), delivery(generation=2)])
async def test_nothing_is_made_while_a_delivery_to_the_same_target_is_under_way(books: Books, busy: Delivery) -> None:
    one, elsewhere = delivery(), delivery("log")
    await ended(books, elsewhere)
    await books.plan(busy, body=b"busy")
    assert await replayed(books, one, elsewhere) == [Outcome.UNDER_WAY, Outcome.MADE]


async def test_two_finishes_are_replayed_together(books: Books) -> None:
    ones = delivery(), delivery(life=LATER)
    await ended(books, *ones)
    assert await replayed(books, *ones) == [Outcome.MADE, Outcome.MADE]
    assert set(await books.due()) == {f"dl:{next_generation(one).id}" for one in ones}


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.DEAD])
async def test_nothing_is_deleted_after_a_replay(books: Books, state: DeliveryState) -> None:
    one = delivery()
    wish = after("run")
    await books.plan(one, after=wish)
    await books.end(one, DeliveryState.DEAD)
    await books.redis.delete(books.keys.record("af", wish.id))
    await books.redis.zrem(books.keys.due, f"af:{wish.id}")
    await replayed(books, one)
    await books.end(next_generation(one), state)
    assert (await books.ledger.after(wish.id), await books.due()) == (None, {})


async def test_a_replay_under_way_does_not_hide_that_nothing_is_deleted(books: Books) -> None:
    one, other = delivery(), delivery("log")
    wish = after("run")
    await books.plan(one, other, after=wish)
    await books.end(one)
    await replayed(books, one)
    await books.end(other)
    assert set(await books.due()) == {f"dl:{next_generation(one).id}", f"af:{wish.id}"}


async def test_a_replay_that_broke_off_half_way_is_made_when_it_is_asked_for_again(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    await books.redis.delete("rr:due")
    await books.redis.set("rr:due", "nothing of the kind")
    with pytest.raises(ResponseError):
        await replayed(books, one)
    await books.redis.delete("rr:due")
    assert await replayed(books, one) == [Outcome.MADE]


# whose rows are whose


def known(one: Delivery, *, begin: int = 0, read: int | None = None, status: str = "balanced", **more: Any) -> Any:
    """A delivery that has ended. `read`: None if it never began."""
    row = Receipt(route="all", target="rows", sink="disk", stream="items:default", from_offset=begin, status=status)
    rows = (
        ()
        if read is None
        else (Receipt(**{name: getattr(row, name) for name in row.__struct_fields__} | {"read": read}),)
    )
    state = more.get("state", DeliveryState.DELIVERED)
    return DeliveryRecord(delivery=one, state=state, checkpoint=Checkpoint(receipts=rows), at=0)


FIRST, SECOND = delivery(), delivery(life=LATER)
AGAIN, SECOND_AGAIN = next_generation(FIRST), next_generation(SECOND)


@pytest.mark.parametrize(
    ("one", "others", "rows"),
    [
        (FIRST, [], {}),
        (SECOND, [known(FIRST, read=10)], {"items:default": Range(10)}),
        (SECOND, [known(FIRST, read=4, status="open")], {"items:default": Range(4)}),
        (SECOND, [known(FIRST, read=4, status="open"), known(AGAIN, read=10)], {"items:default": Range(10)}),
        (SECOND, [known(FIRST, read=10), known(AGAIN, read=2, status="open")], {"items:default": Range(10)}),
        (AGAIN, [known(FIRST, read=10)], {"items:default": Range(0, 10)}),
        (AGAIN, [known(FIRST, read=12, status="count_lagging")], {"items:default": Range(0, 12)}),
        (AGAIN, [known(FIRST, read=4, status="open")], {"items:default": Range(0)}),
        (AGAIN, [known(FIRST, read=4, status="unbalanced")], {"items:default": Range(0)}),
        (AGAIN, [known(FIRST)], {"items:default": Range(0)}),
        (AGAIN, [known(FIRST, read=10), known(SECOND, begin=10, read=5)], {"items:default": Range(0, 10)}),
        (AGAIN, [known(FIRST, read=4, status="open"), known(SECOND, begin=4)], {"items:default": Range(0, 4)}),
        (AGAIN, [known(FIRST), known(SECOND, read=15)], {"items:default": Range(0, 0)}),
        (SECOND_AGAIN, [known(FIRST, read=10), known(SECOND, begin=10, read=5)], {"items:default": Range(10, 15)}),
        (SECOND_AGAIN, [known(FIRST, read=10), known(SECOND, begin=10, read=2, status="open")],
         {"items:default": Range(10)}),
        (SECOND_AGAIN, [known(FIRST, read=10), known(SECOND)], {"items:default": Range(10)}),
        (next_generation(AGAIN), [known(FIRST, read=4, status="open"), known(AGAIN, read=10)],
         {"items:default": Range(0, 10)}),
    ],
)  # fmt: skip
def test_each_delivery_has_its_rows(one: Delivery, others: list[Any], rows: dict[str, Range]) -> None:
    assert ranges(one, others) == rows


def test_an_earlier_finish_under_way_is_waited_for_whatever_its_generation() -> None:
    running = known(AGAIN, state=DeliveryState.RUNNING)
    assert under_way_before(SECOND, [running])
    assert not under_way_before(SECOND, [known(AGAIN)])
    assert not under_way_before(AGAIN, [known(SECOND, state=DeliveryState.WAITING)])
    assert LIFE < LATER
