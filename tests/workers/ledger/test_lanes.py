"""Who is woken now and who stands in line: places of a lane, circuits and probes, and what a person holds."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import msgspec
import pytest

from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.event import EventState, event_id
from tests.workers.ledger.books import DOCUMENTS, Books, about, delivery, run
from workers.ledger.ledger import LeaseLost, Suspect
from workers.ledger.records import Lease, Signal

LANE = "target:all/rows"


def lives(count: int, target: str = "rows") -> list[Delivery]:
    """Deliveries to one target, of as many finishes; in the order of who came within the same millisecond."""
    made = [delivery(target, life=f"2026-01-30T07:38:{n:02}.000Z") for n in range(count)]
    return sorted(made, key=lambda one: one.id)


def ids(deliveries: list[Delivery]) -> list[str]:
    return [one.id for one in deliveries]


@pytest.fixture
async def narrow(books: Books) -> Books:
    """Two places in every lane."""
    await books.redis.set(books.keys.breadth, 2)
    return books


async def woken(books: Books) -> list[str]:
    """Ids of those with a wake-up in arq's queue, in its order."""
    return [job.partition(":")[0] for job in await books.queued()]


async def line(books: Books, name: str = LANE) -> list[str]:
    return [raw.decode()[3:] for raw in await books.redis.zrange(books.keys.line(name), 0, -1)]


async def lines(books: Books) -> set[bytes]:
    return await cast("Awaitable[set[bytes]]", books.redis.smembers(books.keys.lines))


async def take(books: Books, one: Delivery, *, alone: bool = False) -> Lease | None:
    """By its newest wake-up."""
    seq = int(await books.field("dl", one.id, "seq") or 0)
    taken = await books.ledger.take_delivery(one.id, seq, alone=alone)
    return taken and taken[0]


async def took(books: Books, one: Delivery, *, alone: bool = False) -> Lease:
    lease = await take(books, one, alone=alone)
    assert lease
    return lease


async def fails(books: Books, one: Delivery, signal: Signal = Signal.FAULT, wait: float = 300.0) -> None:
    """It is woken, and its target does not do what it should."""
    lease = await took(books, one)
    await books.ledger.hand_back(lease, "waiting", wait=wait, signal=signal, reason="target_unavailable", detail="boo")


async def opened(books: Books, count: int = 6) -> list[Delivery]:
    """Deliveries to a target whose circuit is open, since the first five failed."""
    await books.redis.set(books.keys.breadth, 100)
    made = lives(count)
    await books.plan(*made)
    for one in made[:5]:
        await fails(books, one)
    return made


async def probe_now(books: Books, lane: str = LANE) -> None:
    await cast("Awaitable[int]", books.redis.hset(books.keys.circuit(lane), "probe_at", "0"))
    await books.ledger.sweep(10)


# places


async def test_a_lane_takes_no_more_than_its_places_and_the_next_lane_has_its_own(narrow: Books) -> None:
    crowd, others = lives(5), lives(1, "other")
    await narrow.plan(*crowd, *others)
    assert set(await woken(narrow)) == {*ids(crowd[:2]), *ids(others)}
    assert await line(narrow) == ids(crowd[2:])
    due = await narrow.due()
    assert [due[f"dl:{one.id}"] for one in crowd] == [about(30)] * 2 + [about(3600)] * 3


@pytest.mark.parametrize("end", ["finished", "handed back"])
async def test_the_next_is_woken_when_a_place_falls_free(narrow: Books, end: str) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    assert await woken(narrow) == ids(crowd[:2])
    if end == "finished":
        await narrow.ledger.finish(lease, DeliveryState.DELIVERED)
    else:
        await narrow.ledger.hand_back(lease, "waiting", wait=5.0)
    assert await woken(narrow) == [crowd[1].id, crowd[2].id]
    assert await line(narrow) == []
    assert await lines(narrow) == set()


async def test_who_has_had_a_slice_goes_behind_those_in_line(narrow: Books) -> None:
    crowd = lives(4)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    first, last = await line(narrow)
    await narrow.ledger.hand_back(lease, "waiting")
    assert await woken(narrow) == [crowd[1].id, first]
    assert await line(narrow) == [last, crowd[0].id]


async def test_the_wake_up_of_somebody_who_stands_in_line_again_is_worth_nothing(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    await narrow.ledger.hand_back(lease, "waiting")
    assert await line(narrow) == [crowd[0].id]
    assert await narrow.ledger.take_delivery(crowd[0].id, 1) is None


async def test_a_place_lapses_when_nobody_renews_it(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    await narrow.redis.zadd(narrow.keys.lane(LANE), {f"dl:{crowd[0].id}": 1})
    await narrow.ledger.sweep(10)
    assert await woken(narrow) == ids(crowd)


async def test_what_somebody_died_on_stands_first_in_line(narrow: Books) -> None:
    crowd = lives(5)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    await narrow.expire(lease)
    await narrow.redis.zadd(narrow.keys.lane(LANE), {f"dl:{crowd[0].id}": 1})
    await narrow.ledger.hand_back(await took(narrow, crowd[1]), "waiting", wait=60.0)
    assert set(await woken(narrow)) >= {crowd[2].id, crowd[3].id}
    await narrow.overdue("dl", crowd[0].id)
    await narrow.ledger.sweep(10)
    assert await line(narrow) == [crowd[0].id, crowd[4].id]


async def test_a_record_nobody_can_read_keeps_nobody_from_its_turn(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    await books.set("dl", "odd", state="waiting")
    await books.redis.zadd(books.keys.due, {"dl:odd": 0, f"dl:{one.id}": 1})
    for _ in range(2):
        await books.ledger.sweep(10)
    assert await books.due() == {"dl:odd": about(3600), f"dl:{one.id}": about(60)}


async def test_a_place_in_line_is_kept_however_long_the_wait(narrow: Books) -> None:
    crowd = lives(5)
    await narrow.plan(*crowd)
    waiting = await line(narrow)
    for one in waiting[:2]:
        await asyncio.sleep(0.002)
        await narrow.overdue("dl", one)
        await narrow.ledger.sweep(10)
    assert await line(narrow) == waiting


async def test_who_was_woken_and_got_no_slot_stands_before_those_who_came_later(narrow: Books) -> None:
    first, *crowd = lives(5)
    await narrow.plan(first)
    await narrow.redis.zadd(narrow.keys.due, {f"dl:{first.id}": await narrow.now() - 1})
    await narrow.redis.zadd(narrow.keys.lane(LANE), {f"dl:{first.id}": 1})
    await asyncio.sleep(0.002)
    await narrow.plan(*crowd, body=b"2")
    await narrow.ledger.sweep(10)
    assert (await line(narrow))[0] == first.id


async def test_who_was_woken_is_woken_again_before_its_place_is_anybodys(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    due, places = await narrow.due(), await narrow.redis.zrange(narrow.keys.lane(LANE), 0, -1, withscores=True)
    lapses = {member.decode(): (score - await narrow.now()) / 1000 for member, score in places}
    assert lapses == {f"dl:{one.id}": about(35) for one in crowd[:2]}
    assert {member: due[member] for member in lapses} == {member: about(30) for member in lapses}


async def test_what_somebody_died_on_goes_first_in_the_queue_and_its_place_is_free_before(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    left = await narrow.redis.zscore(narrow.keys.lane(LANE), f"dl:{crowd[0].id}")
    assert left is not None
    assert left - await narrow.now() == pytest.approx(15_000, abs=1000)
    await narrow.redis.zrem(narrow.keys.queue, f"{crowd[0].id}:1")  # arq has it no more
    await narrow.redis.delete(f"arq:job:{crowd[0].id}:1")
    await asyncio.sleep(0.002)
    await narrow.expire(lease)
    await narrow.redis.zadd(narrow.keys.lane(LANE), {f"dl:{crowd[0].id}": 1})
    await narrow.overdue("dl", crowd[0].id)
    await narrow.ledger.sweep(10)
    assert (await woken(narrow))[0] == crowd[0].id


async def test_what_somebody_died_on_is_woken_anew_soon(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    await books.expire(await took(books, one))
    for _ in range(3):
        await books.overdue("dl", one.id)
        await books.ledger.sweep(10)
        assert (await books.due())[f"dl:{one.id}"] == pytest.approx(7.5, abs=1)


async def test_a_place_is_kept_while_the_lease_is(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    lease = await took(narrow, crowd[0])
    await narrow.redis.zadd(narrow.keys.lane(LANE), {f"dl:{crowd[0].id}": 1})
    await narrow.ledger.renew(lease)
    await narrow.ledger.sweep(10)
    assert await line(narrow) == [crowd[2].id]


async def test_events_of_a_source_have_a_lane_as_well(narrow: Books) -> None:
    bodies = sorted((b"%d" % n for n in range(4)), key=lambda body: event_id("apify", None, body))
    events = [await narrow.accept(body) for body in bodies]
    assert await woken(narrow) == events[:2]
    assert await line(narrow, "source:apify") == events[2:]
    assert set(await narrow.due()) == {f"ev:{one}" for one in events}
    taken = await narrow.ledger.take_event(events[0], 1)
    assert taken
    await narrow.ledger.plan(taken[0], EventState.PLANNED, run=run(), deliveries=[], documents=DOCUMENTS)
    assert await woken(narrow) == events[1:3]


async def test_more_workers_make_broader_lanes(narrow: Books) -> None:
    crowd = lives(5)
    await narrow.plan(*crowd)
    await narrow.redis.set(narrow.keys.breadth, 4)
    await narrow.ledger.sweep(10)
    assert await woken(narrow) == ids(crowd[:4])


async def test_who_stands_in_line_is_looked_at_again_even_if_the_line_is_forgotten(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    await narrow.redis.delete(narrow.keys.line(LANE), narrow.keys.lines, narrow.keys.lane(LANE))
    await narrow.overdue("dl", crowd[2].id)
    assert await narrow.ledger.sweep(10) == 1
    assert await woken(narrow) == ids(crowd)


# circuits


async def test_five_failures_in_a_row_open_a_circuit_and_whoever_comes_stands_in_line(books: Books) -> None:
    made = await opened(books)
    assert await cast("Awaitable[set[bytes]]", books.redis.smembers(books.keys.open)) == {LANE.encode()}
    assert await woken(books) == [made[5].id]  # it was woken before
    assert await take(books, made[5]) is None
    assert await woken(books) == []
    late = delivery(life="2026-02-01T00:00:00.000Z")
    await books.plan(late, body=b"2")
    assert {made[5].id, late.id} <= set(await line(books))
    assert await woken(books) == []


async def test_a_success_between_them_begins_the_count_again(books: Books) -> None:
    await books.redis.set(books.keys.breadth, 100)
    made = lives(9)
    await books.plan(*made)
    for one in made[:4]:
        await fails(books, one)
    await books.ledger.finish(await took(books, made[4]), DeliveryState.DELIVERED, Signal.GOOD)
    for one in made[5:]:
        await fails(books, one)
    assert await books.redis.exists(books.keys.open) == 0


async def test_trouble_that_is_not_the_targets_opens_nothing(books: Books) -> None:
    await books.redis.set(books.keys.breadth, 100)
    made = lives(7)
    await books.plan(*made)
    for one in made:
        await fails(books, one, Signal.NOTHING)
    assert await books.redis.exists(books.keys.open) == 0


async def test_an_open_circuit_is_tried_by_one_at_a_time_and_they_take_turns(books: Books) -> None:
    made = await opened(books, 8)
    for one in made[5:]:
        assert await take(books, one) is None
    await books.ledger.sweep(10)
    assert await woken(books) == []
    tried = []
    for _ in range(4):
        await probe_now(books)
        (trying,) = await woken(books)
        await books.ledger.sweep(10)
        assert await woken(books) == [trying]
        await fails(books, next(each for each in made if each.id == trying))
        tried.append(trying)
    assert tried == [made[4].id, *ids(made[5:])]


async def test_the_one_that_tries_is_told(books: Books) -> None:
    made = await opened(books)
    await probe_now(books)
    seq = int(await books.field("dl", made[4].id, "seq") or 0)
    taken = await books.ledger.take_delivery(made[4].id, seq)
    assert taken
    assert taken[1].probing


async def test_a_success_lets_everybody_go_at_once_whatever_their_schedule_says(books: Books) -> None:
    made = await opened(books, 5)
    await probe_now(books)
    await books.ledger.finish(await took(books, made[4]), DeliveryState.DELIVERED, Signal.GOOD)
    assert await books.redis.exists(books.keys.open, books.keys.circuit(LANE), books.keys.line(LANE)) == 0
    assert await woken(books) == ids(made[:4])


async def test_they_go_no_more_at_a_time_than_there_are_places(books: Books) -> None:
    made = await opened(books, 5)
    await probe_now(books)
    await books.redis.set(books.keys.breadth, 2)
    await books.ledger.finish(await took(books, made[4]), DeliveryState.DELIVERED, Signal.GOOD)
    assert len(await woken(books)) == 2


async def test_a_probe_that_tells_nothing_of_the_far_side_gives_way_to_the_next(books: Books) -> None:
    made = await opened(books, 6)
    assert await take(books, made[5]) is None
    await probe_now(books)
    await books.ledger.hand_back(await took(books, made[4]), "waiting", wait=5.0, signal=Signal.NOTHING)
    await books.ledger.sweep(10)
    assert await woken(books) == [made[5].id]


async def test_one_that_is_to_try_and_is_held_itself_gives_way_to_the_next(books: Books) -> None:
    one, held = lives(2)[0], delivery("held")
    held = msgspec.structs.replace(held, sink="other")
    await books.plan(one, held)
    await fails(books, held, Signal.SOURCE_REFUSED)
    await asyncio.sleep(0.002)
    assert await take(books, one) is None
    await probe_now(books, "source:apify")
    await books.ledger.pause("sink:other")
    assert await take(books, held) is None
    assert await line(books, "paused:sink:other") == [held.id]
    await asyncio.sleep(0.002)
    await books.ledger.sweep(10)
    assert await woken(books) == [one.id]


async def test_who_tries_goes_before_all_that_wait_for_a_slot(books: Books) -> None:
    made = await opened(books, 5)
    event = await books.accept(b"2")
    await probe_now(books)
    assert await woken(books) == [made[4].id, event]


async def test_one_that_no_worker_has_a_slot_for_keeps_its_turn_to_try(books: Books) -> None:
    made = await opened(books, 6)
    assert await take(books, made[5]) is None
    for _ in range(2):
        await probe_now(books)
        assert await woken(books) == [made[4].id]
    taken = await books.ledger.take_delivery(made[4].id, int(await books.field("dl", made[4].id, "seq") or 0))
    assert taken
    assert taken[1].probing


async def test_who_asked_the_target_nothing_closes_only_the_circuit_of_the_source(books: Books) -> None:
    made = await opened(books, 5)
    await cast("Awaitable[int]", books.redis.hset(books.keys.circuit("source:apify"), "faults", "1"))
    await probe_now(books)
    await books.ledger.finish(await took(books, made[4]), DeliveryState.DELIVERED, Signal.READ)
    assert await books.redis.exists(books.keys.circuit("source:apify")) == 0
    assert await cast("Awaitable[set[bytes]]", books.redis.smembers(books.keys.open)) == {LANE.encode()}
    assert (
        int(await cast("Awaitable[bytes]", books.redis.hget(books.keys.circuit(LANE), "probe_at"))) <= await books.now()
    )


async def test_an_open_circuit_that_nobody_comes_to_is_forgotten_after_a_day(books: Books) -> None:
    made = await opened(books, 5)
    circuit, day = books.keys.circuit(LANE), 86_400_000
    for one in made[:4]:
        await books.redis.zrem(books.keys.line(LANE), f"dl:{one.id}")
    await probe_now(books)
    await books.ledger.finish(await took(books, made[4]), DeliveryState.DEAD, Signal.FAULT)
    for age, left in ((day - 60_000, 1), (day + 1, 0)):
        await cast("Awaitable[int]", books.redis.hset(circuit, "probe_at", str(await books.now() - age)))
        await books.ledger.sweep(10)
        assert await books.redis.exists(circuit) == left
    assert await books.redis.exists(books.keys.open) == 0


async def test_probes_grow_rarer_the_longer_nothing_answers(books: Books) -> None:
    made = await opened(books)
    circuit = books.keys.circuit(LANE)
    waits = []
    for minutes in (0, 1, 30, 600):
        now = await books.now()
        await cast("Awaitable[int]", books.redis.hset(circuit, "opened", str(now - minutes * 60_000)))
        await probe_now(books)
        probe_at = int(await cast("Awaitable[bytes]", books.redis.hget(circuit, "probe_at")))
        waits.append(round((probe_at - now) / 1000))
        trying = await cast("Awaitable[bytes]", books.redis.hget(circuit, "probe"))
        await fails(books, next(one for one in made if one.id == trying.decode()[3:]))
    assert waits == [15, 15, 150, 300]


async def test_refused_credentials_open_it_at_once(books: Books) -> None:
    made = lives(2)
    await books.plan(*made)
    await fails(books, made[0], Signal.REFUSED, wait=60.0)
    assert await take(books, made[1]) is None
    assert sorted(await line(books)) == sorted(ids(made))


async def test_another_target_does_not_notice(books: Books) -> None:
    await opened(books)
    (other,) = lives(1, "other")
    await books.plan(other, body=b"2")
    assert await take(books, other)


async def test_a_platform_that_refuses_its_token_is_asked_by_one_of_all_that_need_it(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    waiting = [await books.accept(b"%d" % n) for n in range(2)]
    taken = await books.ledger.take_event(waiting[0], 1)
    assert taken
    await books.ledger.hand_back(taken[0], "accepted", wait=60.0, signal=Signal.SOURCE_REFUSED)
    await asyncio.sleep(0.002)  # whoever comes in the same millisecond is as old
    assert await take(books, one) is None
    assert await books.ledger.take_event(waiting[1], 1) is None
    late = await books.accept(b"late")
    assert set(await line(books, "source:apify")) == {one.id, *waiting, late}
    await books.ledger.sweep(10)
    await probe_now(books, "source:apify")
    (probing,) = await woken(books)
    seq = int(await books.field("ev", probing, "seq") or 0)
    taken = await books.ledger.take_event(probing, seq)
    assert taken
    await books.ledger.plan(taken[0], EventState.PLANNED, run=run(), deliveries=[], documents=DOCUMENTS)
    assert {one.id, *waiting, late} == {probing, *await woken(books)}


async def test_a_token_that_a_delivery_is_refused_with_is_the_platforms_and_not_the_targets(books: Books) -> None:
    (one,), (other,) = lives(1), lives(1, "other")
    await books.plan(one, other)
    await fails(books, one, Signal.SOURCE_REFUSED, wait=60.0)
    assert await take(books, other) is None
    assert set(await line(books, "source:apify")) == {one.id, other.id}


# what a person holds


@pytest.mark.parametrize("name", ["source:apify", "sink:disk", LANE])
async def test_what_is_held_stands_in_line_until_it_is_let_go(books: Books, name: str) -> None:
    early, late = lives(2)
    await books.plan(early)
    await books.ledger.pause(name)
    assert await take(books, early) is None
    taken_event = await books.ledger.take_event(await books.accept(b"2"), 1)
    assert (taken_event is None) == (name == "source:apify")
    if taken_event:
        await books.ledger.plan(taken_event[0], EventState.PLANNED, run=run(), deliveries=[late], documents=DOCUMENTS)
    await books.ledger.sweep(10)
    assert await books.ledger.resume(name) == 2
    assert await take(books, early)
    assert await books.redis.exists(books.keys.paused) == 0
    assert await lines(books) == set()


async def test_what_is_held_for_a_time_goes_on_by_itself(books: Books) -> None:
    (one,) = lives(1)
    await books.ledger.pause(LANE, await books.now() + 60_000)
    await books.plan(one)
    assert await woken(books) == []
    await books.ledger.pause(LANE, await books.now() - 1)
    await books.ledger.sweep(10)
    assert await woken(books) == [one.id]
    assert await books.redis.exists(books.keys.paused) == 0


async def test_what_is_at_work_ends_its_slice(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    lease = await took(books, one)
    await books.ledger.pause(LANE)
    await books.ledger.renew(lease)
    await books.ledger.hand_back(lease, "waiting")
    assert await line(books, f"paused:{LANE}") == [one.id]


async def test_a_persons_word_closes_a_circuit(books: Books) -> None:
    made = await opened(books)
    assert await books.ledger.resume(LANE) == 5
    assert set(ids(made)) == set(await woken(books))


# crashes


async def crash(books: Books, one: Delivery, *, alone: bool = False) -> Lease:
    """A process dies while it works on it."""
    lease = await took(books, one, alone=alone)
    await books.expire(lease)
    return lease


async def test_what_two_processes_died_on_is_only_taken_alone(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    await crash(books, one)
    await crash(books, one)
    for _ in range(2):  # asking is no crash
        with pytest.raises(Suspect):
            await take(books, one)
    taken = await books.ledger.take_delivery(one.id, 1, alone=True)
    assert taken
    assert (taken[1].broken_off, taken[1].lonely) == (True, 0)


async def test_an_event_whose_turns_end_with_a_word_is_no_suspect(books: Books) -> None:
    event, seq = await books.accept(), 1
    for _ in range(4):
        taken = await books.ledger.take_event(event, seq)
        assert taken
        await books.expire(taken[0])
        taken = await books.ledger.take_event(event, seq)
        assert taken
        await books.ledger.hand_back(taken[0], "accepted", wait=1.0)
        await books.overdue("ev", event)
        await books.ledger.sweep(10)
        seq = int(await books.field("ev", event, "seq") or 0)


async def test_deaths_are_counted_while_it_was_alone(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    for alone in (False, False, True, True, True):
        await crash(books, one, alone=alone)
    taken = await books.ledger.take_delivery(one.id, 1, alone=True)
    assert taken
    assert taken[1].lonely == 3


async def test_whatever_gets_further_is_no_suspect_any_more(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    await crash(books, one)
    lease = await took(books, one)
    delivered = await books.ledger.delivery(one.id)
    assert delivered
    await books.ledger.checkpoint(lease, delivered.checkpoint)
    await books.expire(lease)
    assert await take(books, one)


async def test_a_process_that_ends_in_order_is_no_crash(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    for _ in range(4):
        await books.ledger.hand_back(await took(books, one), "waiting")
    assert await take(books, one)


async def test_a_suspect_that_ended_in_order_did_not_break_off(books: Books) -> None:
    (one,) = lives(1)
    await books.plan(one)
    for _ in range(2):
        await crash(books, one)
    with pytest.raises(Suspect):
        await take(books, one)
    for broke_off in [True, False]:
        lease = await took(books, one, alone=True)
        assert bool(int(await books.field("dl", one.id, "broken_off") or 0)) is broke_off
        await books.ledger.hand_back(lease, "waiting")
        with pytest.raises(Suspect):
            await take(books, one)


async def test_a_holder_that_was_fenced_off_gives_nobodys_place_away(narrow: Books) -> None:
    crowd = lives(3)
    await narrow.plan(*crowd)
    lease = await crash(narrow, crowd[0])
    await took(narrow, crowd[0])
    with pytest.raises(LeaseLost):
        await narrow.ledger.hand_back(lease, "waiting")
    assert await line(narrow) == [crowd[2].id]
