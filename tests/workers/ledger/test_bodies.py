"""When what a webhook said is dropped."""

from collections.abc import Awaitable
from typing import cast

import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState, event_id
from tests.workers.ledger.books import DOCUMENTS, Books, delivery, run
from workers.ledger.letters import Outcome, dead_letter, drop, next_generation, replay, retry

BODY = b'{"said": 1}'
EVENT = event_id("apify", None, BODY)
ROWS, FILES = delivery("rows", event=EVENT), delivery("files", event=EVENT)


async def body(books: Books, event: str = EVENT) -> bytes | None:
    """What is left of it."""
    return await books.field("ev", event, "body")


async def planned(books: Books, **states: DeliveryState) -> None:
    await books.plan(ROWS, FILES, body=BODY)
    for one in (ROWS, FILES):
        if state := states.get(one.target):
            await books.end(one, state)


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.PARTIAL, DeliveryState.DROPPED])
async def test_it_goes_when_all_deliveries_have_ended_well(books: Books, state: DeliveryState) -> None:
    await planned(books, rows=state, files=DeliveryState.DELIVERED)
    assert await body(books) is None


async def test_it_stays_while_a_delivery_is_under_way(books: Books) -> None:
    await planned(books, rows=DeliveryState.DELIVERED)
    assert await body(books) == BODY


async def test_it_stays_for_a_dead_letter_until_that_is_delivered_after_all(books: Books) -> None:
    await planned(books, rows=DeliveryState.DELIVERED, files=DeliveryState.DEAD)
    assert await body(books) == BODY
    letter = await dead_letter(books.ledger, "dl", FILES.id)
    assert letter
    assert await retry(books.ledger, letter) is Outcome.DONE
    assert await body(books) == BODY
    await books.end(FILES)
    assert await body(books) is None


async def test_it_stays_for_a_dead_letter_until_that_is_dropped(books: Books) -> None:
    await planned(books, rows=DeliveryState.DELIVERED, files=DeliveryState.DEAD)
    letter = await dead_letter(books.ledger, "dl", FILES.id)
    assert letter
    assert await drop(books.ledger, letter) is Outcome.DONE
    assert await body(books) is None


async def test_it_stays_while_a_replay_is_under_way(books: Books) -> None:
    await planned(books, rows=DeliveryState.DELIVERED, files=DeliveryState.DEAD)
    await replay(books.ledger, "apify", "run1", [next_generation(ROWS)], {})
    letter = await dead_letter(books.ledger, "dl", FILES.id)
    assert letter
    assert await drop(books.ledger, letter) is Outcome.DONE
    assert await body(books) == BODY
    await books.end(next_generation(ROWS))
    assert await body(books) is None


async def test_it_stays_for_routes_that_use_it(books: Books) -> None:
    lease = await books.taken_event(BODY)
    await books.ledger.plan(
        lease, EventState.PLANNED, run=run(), deliveries=[ROWS], documents=DOCUMENTS, keep_body=True
    )
    await books.end(ROWS)
    assert await body(books) == BODY


async def test_that_of_a_second_announcement_goes_at_once_for_nobody_reads_it(books: Books) -> None:
    await planned(books, rows=DeliveryState.DEAD)
    await books.plan(ROWS, FILES, body=b"second")
    assert await body(books, event_id("apify", None, b"second")) is None
    assert await body(books) == BODY


async def test_that_of_an_event_without_deliveries_stays(books: Books) -> None:
    lease = await books.taken_event(BODY)
    await books.ledger.finish(lease, EventState.UNMATCHED)
    assert await body(books) == BODY


async def test_what_only_work_needs_goes_with_a_good_end_and_stays_with_a_dead_letter(books: Books) -> None:
    await planned(books, rows=DeliveryState.DELIVERED, files=DeliveryState.DEAD)
    at_work = {b"missed", b"broken_off", b"alone", b"reason", b"detail"}
    delivered, dead = [set(await fields(books, books.keys.record("dl", one.id))) for one in (ROWS, FILES)]
    assert (delivered & at_work, dead & at_work) == (set(), at_work)
    assert not set(await fields(books, books.keys.record("ev", EVENT))) & at_work


async def fields(books: Books, key: str) -> list[bytes]:
    return await cast("Awaitable[list[bytes]]", books.redis.hkeys(key))
