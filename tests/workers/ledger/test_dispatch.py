"""Wake-ups: sent, lost, sent again, withdrawn."""

from config.contracts.event import EventState
from tests.workers.ledger.books import Books, about
from workers.ledger.ledger import LEASE_MS


async def test_each_lost_wake_up_doubles_the_time_to_the_next_up_to_ten_minutes(books: Books) -> None:
    event_id = await books.accept()
    pauses = [(await books.due())[f"ev:{event_id}"]]
    for seq in range(2, 9):
        await books.overdue("ev", event_id)
        assert await books.ledger.sweep(10) == 1
        pauses.append((await books.due())[f"ev:{event_id}"])
        assert await books.queued() == [f"{event_id}:{seq}"]
    assert pauses == [about(seconds) for seconds in (30, 60, 120, 240, 480, 600, 600, 600)]


async def test_after_ages_of_lost_wake_ups_it_is_still_ten_minutes(books: Books) -> None:
    event_id = await books.accept()
    await books.set("ev", event_id, missed=5000)
    await books.overdue("ev", event_id)
    await books.ledger.sweep(10)
    assert await books.due() == {f"ev:{event_id}": about(600)}


async def test_whoever_is_taken_starts_the_doubling_afresh(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.set("dl", lease.id, missed=7)
    await books.expire(lease)
    taken = await books.ledger.take_delivery(lease.id, 1)
    assert taken
    await books.ledger.hand_back(taken[0], "waiting")
    assert await books.due() == {f"dl:{lease.id}": about(30)}


async def test_the_old_wake_up_is_withdrawn_when_a_new_one_is_sent(books: Books) -> None:
    event_id = await books.accept()
    assert await books.queued() == [f"{event_id}:1"]
    await books.overdue("ev", event_id)
    await books.ledger.sweep(10)
    assert await books.queued() == [f"{event_id}:2"]
    lease = await books.ledger.take_event(event_id, 2)
    assert lease
    await books.ledger.finish(lease[0], EventState.DEAD)
    assert await books.queued() == []


async def test_nothing_is_swept_before_its_time(books: Books) -> None:
    await books.accept()
    before = await books.snapshot()
    assert await books.ledger.sweep(10) == 0
    assert await books.snapshot() == before


async def test_a_wait_that_is_over_is_swept(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.hand_back(lease, "waiting", wait=100)
    await books.overdue("dl", lease.id)
    assert await books.ledger.sweep(10) == 1
    assert await books.queued() == [f"{lease.id}:3"]
    assert await books.ledger.take_delivery(lease.id, 3)


async def test_a_wake_up_that_had_its_turn_does_not_cut_a_wait_short(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.hand_back(lease, "waiting", wait=86_400)
    assert await books.ledger.take_delivery(lease.id, 1) is None
    assert await books.queued() == []


async def test_who_waited_long_keeps_the_place_in_the_queue(books: Books) -> None:
    first = await books.accept(b"1")
    second = await books.accept(b"2")
    await books.redis.zincrby(books.keys.queue, -60_000, f"{first}:1")
    await books.overdue("ev", first)
    assert await books.ledger.sweep(10) == 1
    assert await books.queued() == [f"{first}:2", f"{second}:1"]


async def test_work_whose_holder_died_is_swept_once_the_lease_ran_out(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.overdue("dl", lease.id)
    assert await books.ledger.sweep(10) == 0
    assert await books.due() == {f"dl:{lease.id}": about(LEASE_MS / 1000 + 1)}
    await books.expire(lease)
    await books.overdue("dl", lease.id)
    assert await books.ledger.sweep(10) == 1
    taken = await books.ledger.take_delivery(lease.id, 2)
    assert taken
    assert taken[0].token == 2


async def test_what_is_final_or_gone_is_swept_out(books: Books) -> None:
    lease = await books.plan()
    now = await books.now()
    await books.redis.zadd(books.keys.due, {f"ev:{lease.id}": now - 1, "dl:gone": now - 2})
    assert await books.ledger.sweep(10) == 0
    assert await books.ledger.open_records() == 0


async def test_one_look_wakes_no_more_than_it_was_told_the_longest_overdue_first(books: Books) -> None:
    ids = [await books.accept(b"%d" % n) for n in range(5)]
    now = await books.now()
    for position, event_id in enumerate(reversed(ids)):
        await books.redis.zadd(books.keys.due, {f"ev:{event_id}": now - 1000 + position})
    assert await books.ledger.sweep(2) == 2
    assert [await books.field("ev", one, "seq") for one in reversed(ids)] == [b"2", b"2", b"1", b"1", b"1"]


async def test_an_event_that_comes_once_more_when_it_is_no_longer_known_begins_afresh(books: Books) -> None:
    lease = await books.taken_event()
    await books.ledger.finish(lease, EventState.DEAD, attempt=7, trouble=5, reason="run_not_found", detail="gone")
    await books.redis.delete(books.keys.seen(lease.id))
    event = await books.ledger.event(await books.accept())
    assert event
    assert (event.id, event.state) == (lease.id, EventState.ACCEPTED)
    assert (event.ended, event.attempt, event.trouble, event.reason, event.detail) == (0, 0, 0, "", "")
    assert await books.redis.exists(books.keys.dead) == 0
    assert await books.queued() == [f"{event.id}:1"]
    taken = await books.ledger.take_event(event.id, 1)
    assert taken
    assert taken[0].token > lease.token
