"""Who may work on what, how far it got and how it ended: every script against a real Valkey."""

import time
from collections.abc import Awaitable, Callable

import pytest
from redis.exceptions import ResponseError

from config.contracts.delivery import Checkpoint, DeliveryState, Receipt
from config.contracts.event import EventState
from tests.workers.ledger.books import DOCUMENTS, LIFE, Books, about, delivery, run
from workers.ledger.ledger import LEASE_MS, LeaseLost, Ledger
from workers.ledger.records import DeliveryRecord, EventRecord, Lease

HALF = Checkpoint(
    offset=500,
    batch=5,
    end=900,
    expected=900,
    position={"bytes": 12, "deep": [1, None]},
    receipts=(Receipt(route="all", target="rows", sink="disk", stream="items:default", read=500, delivered=500),),
)


# taking


async def test_taking_an_event_gives_its_record_and_the_lease(books: Books) -> None:
    event_id = await books.accept(b'{"a":1}')
    before = await books.now()
    taken = await books.ledger.take_event(event_id, 1)
    assert taken
    lease, record = taken
    assert lease == Lease("ev", event_id, 1)
    assert record == EventRecord(
        id=event_id,
        state=EventState.PLANNING,
        source="apify",
        run_id="run1",
        kind="ACTOR.RUN.SUCCEEDED",
        via="webhook",
        at=record.at,
        body=b'{"a":1}',
    )
    assert 0 <= before - record.at < 5000
    assert await books.redis.get(books.keys.lease(event_id)) == b"1"
    assert LEASE_MS - 5000 < await books.redis.pttl(books.keys.lease(event_id)) <= LEASE_MS
    assert await books.due() == {f"ev:{event_id}": about(35)}


async def test_a_record_is_taken_by_one_at_a_time(books: Books) -> None:
    event_id = await books.accept()
    assert await books.ledger.take_event(event_id, 1)
    before = await books.snapshot()
    assert await books.ledger.take_event(event_id, 1) is None
    assert await books.snapshot() == before


async def test_a_wake_up_that_is_not_the_newest_takes_nothing(books: Books) -> None:
    event_id = await books.accept()
    await books.overdue("ev", event_id)
    await books.ledger.sweep(10)
    before = await books.snapshot()
    assert await books.ledger.take_event(event_id, 1) is None
    assert await books.ledger.take_event(event_id, 3) is None
    assert await books.snapshot() == before
    assert await books.ledger.take_event(event_id, 2)


async def test_what_is_gone_or_final_is_not_taken(books: Books) -> None:
    assert await books.ledger.take_event("nobody", 1) is None
    lease = await books.plan()
    before = await books.snapshot()
    assert await books.ledger.take_event(lease.id, 1) is None
    assert await books.snapshot() == before


@pytest.mark.parametrize("state", [state for state in DeliveryState if state.final])
async def test_no_final_delivery_is_ever_taken(books: Books, state: DeliveryState) -> None:
    lease = await books.taken_delivery()
    await books.ledger.finish(lease, state)
    seq = int(await books.field("dl", lease.id, "seq") or 0)
    assert await books.ledger.take_delivery(lease.id, seq) is None


@pytest.mark.parametrize("state", ["waiting", "running", "paused"])
async def test_every_other_delivery_is(books: Books, state: str) -> None:
    lease = await books.taken_delivery()
    await books.ledger.hand_back(lease, state)
    assert await books.ledger.take_delivery(lease.id, 2)


async def test_what_is_in_quarantine_is_not_taken_and_stays_where_somebody_looks(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.hand_back(lease, "quarantined")
    assert await books.ledger.take_delivery(lease.id, 2) is None
    await books.ledger.redis.zadd(books.ledger.keys.due, {f"dl:{lease.id}": 0})
    assert await books.ledger.sweep(10) == 0
    assert await books.ledger.redis.zscore(books.ledger.keys.due, f"dl:{lease.id}") > await books.ledger.now()


async def test_tokens_rise_with_every_holder(books: Books) -> None:
    lease = await books.taken_delivery()
    tokens = [lease.token]
    for _ in range(2):
        await books.expire(lease)
        taken = await books.ledger.take_delivery(lease.id, 1, alone=True)
        assert taken
        tokens.append(taken[0].token)
    assert tokens == [1, 2, 3]


# fencing

CHANGES: dict[str, Callable[[Ledger, Lease], Awaitable[None]]] = {
    "renew": lambda ledger, lease: ledger.renew(lease),
    "checkpoint": lambda ledger, lease: ledger.checkpoint(lease, HALF),
    "hand back": lambda ledger, lease: ledger.hand_back(lease, "waiting", wait=5.0, attempt=3),
    "hand back at once": lambda ledger, lease: ledger.hand_back(lease, "waiting", attempt=3),
    "finish": lambda ledger, lease: ledger.finish(lease, DeliveryState.DEAD, reason="poison"),
    "plan": lambda ledger, lease: ledger.plan(
        Lease("ev", lease.id, lease.token),
        EventState.PLANNED,
        run=run(),
        deliveries=[delivery("other")],
        documents={"sha2": b"text"},
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_whoever_lost_the_lease_to_another_can_do_nothing(
    books: Books, change: Callable[[Ledger, Lease], Awaitable[None]]
) -> None:
    old = await books.taken_delivery()
    await books.expire(old)
    assert await books.ledger.take_delivery(old.id, 1)
    before = await books.snapshot()
    with pytest.raises(LeaseLost):
        await change(books.ledger, old)
    assert await books.snapshot() == before


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_whoever_let_the_lease_run_out_can_do_nothing_either(
    books: Books, change: Callable[[Ledger, Lease], Awaitable[None]]
) -> None:
    lease = await books.taken_delivery()
    await books.expire(lease)
    before = await books.snapshot()
    with pytest.raises(LeaseLost):
        await change(books.ledger, lease)
    assert await books.snapshot() == before


async def test_a_lease_nobody_renews_runs_out_by_itself(books: Books) -> None:
    short = Ledger(books.redis, books.keys, lease_ms=1)
    event_id = await books.accept()
    taken = await short.take_event(event_id, 1)
    assert taken
    while await books.redis.exists(books.keys.lease(event_id)):
        pass
    with pytest.raises(LeaseLost):
        await short.renew(taken[0])


async def test_renewing_moves_the_end_of_the_lease_and_the_sweepers_next_look(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.redis.pexpire(books.keys.lease(lease.id), 1000)
    await books.overdue("dl", lease.id)
    await books.ledger.renew(lease)
    assert LEASE_MS - 5000 < await books.redis.pttl(books.keys.lease(lease.id)) <= LEASE_MS
    assert await books.due() == {f"dl:{lease.id}": about(35)}


# going on


async def test_a_checkpoint_is_where_the_next_holder_goes_on(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.checkpoint(lease, HALF)
    await books.expire(lease)
    taken = await books.ledger.take_delivery(lease.id, 1)
    assert taken
    assert taken[1].checkpoint == HALF


async def test_handing_back_without_a_wait_wakes_somebody_at_once(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.hand_back(lease, "waiting", attempt=0)
    assert await books.queued() == [f"{lease.id}:2"]
    assert await books.due() == {f"dl:{lease.id}": about(30)}
    assert not await books.redis.exists(books.keys.lease(lease.id))
    assert await books.ledger.take_delivery(lease.id, 1) is None
    assert await books.ledger.take_delivery(lease.id, 2)


async def test_handing_back_with_a_wait_is_due_after_it_and_says_why(books: Books) -> None:
    lease = await books.taken_delivery()
    assert await books.queued() == [f"{lease.id}:1"]
    await books.ledger.hand_back(lease, "paused", wait=123.4, attempt=2, reason="token_refused", detail="ask Ann")
    assert await books.due() == {f"dl:{lease.id}": about(123.4)}
    record = await books.ledger.delivery(lease.id)
    assert record
    assert (record.state, record.attempt, record.reason, record.detail) == ("paused", 2, "token_refused", "ask Ann")
    assert not await books.redis.exists(books.keys.lease(lease.id))
    assert await books.ledger.sweep(10) == 0


async def test_the_end_of_a_record_leaves_nothing_to_do(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.finish(lease, DeliveryState.DELIVERED, checkpoint=b"{}", reason="", detail="")
    assert (await books.due(), await books.queued()) == ({}, [])
    assert not await books.redis.exists(books.keys.lease(lease.id))
    assert not await books.redis.exists(books.keys.dead)
    record = await books.ledger.delivery(lease.id)
    assert record
    assert record.state is DeliveryState.DELIVERED
    assert 0 <= await books.now() - record.ended < 5000
    with pytest.raises(LeaseLost):
        await books.ledger.finish(lease, DeliveryState.DEAD)


async def test_the_dead_are_listed(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.finish(lease, DeliveryState.DEAD, reason="target_refused", attempt=1)
    event = await books.taken_event(b"other")
    await books.ledger.finish(event, EventState.DEAD, reason="run_foreign", detail="not ours")
    ended, record = await books.ledger.event(event.id), await books.ledger.delivery(lease.id)
    assert ended
    assert record
    assert (ended.state, ended.reason, ended.detail) == (EventState.DEAD, "run_foreign", "not ours")
    assert (record.state, record.reason, record.attempt) == (DeliveryState.DEAD, "target_refused", 1)
    dead = await books.redis.zrange(books.keys.dead, 0, -1, withscores=True)
    assert sorted(member for member, _ in dead) == sorted([f"dl:{lease.id}".encode(), f"ev:{event.id}".encode()])
    now = await books.now()
    assert all(0 <= now - score < 5000 for _, score in dead)


# planning


async def test_planning_creates_the_deliveries_and_ends_the_event_in_one_step(books: Books) -> None:
    rows, log = delivery("rows"), delivery("log")
    lease = await books.plan(rows, log)
    event = await books.ledger.event(lease.id)
    assert event
    assert (event.state, event.deliveries, event.run) == (EventState.PLANNED, (rows.id, log.id), run())
    record = await books.ledger.delivery(rows.id)
    assert record
    assert record == DeliveryRecord(delivery=rows, state=DeliveryState.WAITING, checkpoint=Checkpoint(), at=record.at)
    assert record.at == event.ended
    assert await books.ledger.document("sha1") == DOCUMENTS["sha1"]
    assert await books.ledger.document("sha2") is None
    assert sorted(await books.queued()) == sorted([f"{rows.id}:1", f"{log.id}:1"])
    assert await books.due() == {f"dl:{rows.id}": about(30), f"dl:{log.id}": about(30)}
    assert not await books.redis.exists(books.keys.lease(lease.id))


async def test_planning_nothing_ends_the_event_with_its_reason(books: Books) -> None:
    lease = await books.taken_event()
    await books.ledger.plan(lease, EventState.UNMATCHED, run=run(), deliveries=[], documents={}, reason="no_route")
    event = await books.ledger.event(lease.id)
    assert event
    assert (event.state, event.reason, event.deliveries, event.run) == (EventState.UNMATCHED, "no_route", (), run())
    assert (await books.due(), await books.queued()) == ({}, [])


async def test_two_announcements_of_one_finish_lead_to_one_delivery(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.checkpoint(lease, HALF)
    before = await books.ledger.delivery(lease.id)
    again = await books.plan(delivery(event="e2"), body=b"again")
    assert await books.ledger.delivery(lease.id) == before
    event = await books.ledger.event(again.id)
    assert event
    assert (event.state, event.reason, event.deliveries) == (EventState.PLANNED, "announced_before", (lease.id,))
    assert await books.queued() == [f"{lease.id}:1"]
    assert await books.ledger.open_records() == 1
    assert await books.redis.zcard(books.keys.deliveries) == 1


async def test_an_announcement_that_leads_to_anything_new_was_none_before(books: Books) -> None:
    await books.plan(delivery())
    more = await books.plan(delivery(event="e2"), delivery("log", event="e2"), body=b"more")
    lease = await books.taken_event(b"broken off")
    own = delivery("own", event=lease.id)
    await books.plan(own, body=b"as far as it came")
    await books.ledger.plan(lease, EventState.PLANNED, run=run(), deliveries=[own], documents=DOCUMENTS)
    for event_id in (more.id, lease.id):
        event = await books.ledger.event(event_id)
        assert event
        assert (event.state, event.reason) == (EventState.PLANNED, "")


async def test_a_delivery_that_has_ended_is_not_begun_again(books: Books) -> None:
    lease = await books.taken_delivery()
    await books.ledger.finish(lease, DeliveryState.DELIVERED)
    await books.plan(delivery(), body=b"again")
    record = await books.ledger.delivery(lease.id)
    assert record
    assert record.state is DeliveryState.DELIVERED
    assert (await books.due(), await books.queued()) == ({}, [])


async def test_another_life_target_or_generation_is_another_delivery(books: Books) -> None:
    ones = [delivery(), delivery("log"), delivery(life="2026-02-01T00:00:00.000Z"), delivery(generation=1)]
    await books.plan(*ones)
    assert await books.ledger.open_records() == 4


async def test_a_document_once_kept_is_not_replaced(books: Books) -> None:
    await books.redis.set(books.keys.document("sha1"), b"as it was")
    await books.plan(delivery())
    assert await books.ledger.document("sha1") == b"as it was"


# the one clock


async def test_all_times_are_redis_own(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 12_345.0)
    monkeypatch.setattr(time, "time_ns", lambda: 12_345 * 10**9)
    lease = await books.taken_delivery()
    await books.ledger.renew(lease)
    await books.ledger.hand_back(lease, "waiting", wait=50)
    record = await books.ledger.delivery(lease.id)
    assert record
    assert 0 <= await books.now() - record.at < 5000
    assert await books.due() == {f"dl:{lease.id}": about(50)}
    assert 0 <= await books.ledger.now() - record.at < 5000
    fresh = delivery("other")
    await books.plan(fresh, body=b"another")
    created = await books.ledger.delivery(fresh.id)
    assert created
    assert await books.redis.zscore(books.keys.queue, f"{fresh.id}:1") == created.at - 86_400_000


async def test_a_plan_that_broke_off_half_way_has_created_nothing(books: Books) -> None:
    lease, one = await books.taken_event(), delivery()
    await books.redis.delete("rr:queue")
    await books.redis.set("rr:queue", "not a queue")
    with pytest.raises(ResponseError):
        await books.ledger.plan(lease, EventState.PLANNED, run=run(), deliveries=[one], documents=DOCUMENTS)
    await books.redis.delete("rr:queue")
    await books.ledger.plan(lease, EventState.PLANNED, run=run(), deliveries=[one], documents=DOCUMENTS)
    assert list(await books.due()) == [f"dl:{one.id}"]
    assert await books.ledger.take_delivery(one.id, int(await books.field("dl", one.id, "seq") or 0))


# reading


async def test_what_nobody_knows_is_none(books: Books) -> None:
    assert await books.ledger.event("nobody") is None
    assert await books.ledger.delivery("nobody") is None
    assert await books.ledger.of_run("apify", "nobody") == ([], [])
    assert await books.ledger.finished_delivery("apify", "nobody") is False
    assert await books.ledger.open_records() == 0


async def test_lists_are_newest_first_and_leave_out_what_is_gone(books: Books) -> None:
    ids = [await books.accept(b"%d" % n) for n in range(3)]
    for position, event_id in enumerate(ids):
        await books.redis.zadd(books.keys.events, {event_id: position})
    await books.redis.delete(books.keys.record("ev", ids[1]))
    assert [one.id for one in await books.ledger.newest_events(10)] == [ids[2], ids[0]]
    assert [one.id for one in await books.ledger.newest_events(1)] == [ids[2]]
    ones = [delivery("a"), delivery("b")]
    await books.plan(*ones, body=b"p")
    await books.redis.zadd(books.keys.deliveries, {ones[0].id: 2, ones[1].id: 1, "gone": 3})
    assert [one.delivery for one in await books.ledger.newest_deliveries(10)] == ones


async def test_a_run_is_found_with_everything_oldest_first(books: Books) -> None:
    ones = [delivery("a"), delivery("b")]
    first, second = await books.plan(*ones), await books.accept(b"second")
    await books.set("ev", first.id, at=2)
    await books.set("ev", second, at=1)
    await books.set("dl", ones[0].id, at=4)
    await books.set("dl", ones[1].id, at=3)
    events, deliveries = await books.ledger.of_run("apify", "run1")
    assert [one.id for one in events] == [second, first.id]
    assert [one.delivery for one in deliveries] == ones[::-1]
    assert await books.ledger.of_run("other", "run1") == ([], [])


async def test_a_run_counts_as_delivered_once_one_delivery_has_ended(books: Books) -> None:
    lease = await books.taken_delivery()
    assert await books.ledger.finished_delivery("apify", "run1") is False
    await books.ledger.finish(lease, DeliveryState.PARTIAL)
    assert await books.ledger.finished_delivery("apify", "run1") is True


async def test_beside_are_the_same_targets_other_deliveries_of_the_run(books: Books) -> None:
    lives = ["2026-01-30T07:00:00.000Z", "2026-01-31T07:00:00.000Z", "2026-02-01T07:00:00.000Z"]
    now = delivery(life=lives[1])
    others = [delivery("log", life=lives[0]), delivery(life=lives[0], route="other")]
    same = [
        delivery(life=lives[0]),
        delivery(life=lives[0], generation=1),
        delivery(life=LIFE),
        delivery(life=lives[2]),
    ]
    await books.plan(now, *others, *reversed(same))
    assert [one.delivery for one in await books.ledger.beside(now)] == same


async def test_bytes_that_are_no_text_do_not_hide_a_record(books: Books) -> None:
    event_id = await books.accept(b"\xff\x00\xfe")
    await books.set("ev", event_id, detail=b"half a \xe2\x82")
    event = await books.ledger.event(event_id)
    assert event
    assert (event.body, event.detail) == (b"\xff\x00\xfe", "half a \ufffd")


# after a kill


async def test_whoever_takes_over_from_a_killed_holder_is_told(books: Books) -> None:
    lease = await books.taken_delivery()
    assert not await broken_off(books)
    await books.redis.delete(books.keys.lease(lease.id))
    await books.overdue("dl", lease.id)
    await books.ledger.sweep(10)
    taken = await books.ledger.take_delivery(lease.id, 2)
    assert taken
    assert (taken[1].broken_off, await broken_off(books)) == (True, True)
    await books.ledger.hand_back(taken[0], DeliveryState.WAITING.value)
    taken = await books.ledger.take_delivery(lease.id, 3)
    assert taken
    assert (taken[1].broken_off, await broken_off(books)) == (False, False)


async def broken_off(books: Books) -> bool:
    record = await books.ledger.delivery(delivery().id)
    assert record
    return record.broken_off
