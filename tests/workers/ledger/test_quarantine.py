"""What is held in the ledger: how it comes there, what people do about it, and what leans on it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.event import EventState, event_id
from config.contracts.run import Run
from config.contracts.source import Source
from config.route import GATE
from config.sources.apify import Config, connect
from tests.workers.ledger.books import DOCUMENTS, Books, after, delivery, run
from workers.ledger.expiring import expiring
from workers.ledger.ledger import LeaseLost
from workers.ledger.letters import Outcome, dead_letter, drop, retry
from workers.ledger.quarantine import MOST, Held, discard, held, quarantined, release
from workers.ledger.records import Born, LeadsTo, Lease, Signal

LATER = "2026-02-01T00:00:00.000Z"
WHY = "3 items, at least 10 were expected"
HELD = {"expect": "delivered", "rows": "quarantined", "lake": "quarantined", "call": "waiting"}
ACTOR_RUN = msgspec.structs.replace(run(), actor_id="A1")


def gate(**changes: Any) -> Delivery:
    return msgspec.structs.replace(delivery(GATE, **changes), sink="")


async def announced(books: Books, leads_to: LeadsTo, body: bytes = b"{}", *, of: Run = ACTOR_RUN, **more: Any) -> Lease:
    """An event that leads to a gate."""
    lease = await books.taken_event(body)
    first = leads_to.wanted[0]
    begin = gate(life=first.life, event=lease.id, route=first.route)
    await books.ledger.plan(
        lease, EventState.PLANNED, run=of, deliveries=[begin], documents=DOCUMENTS, gated={begin.id: leads_to}, **more
    )
    return lease


def led(*targets: str, event: str, told: tuple[str, ...] = (), **more: Any) -> LeadsTo:
    def make(target: str) -> Delivery:
        return delivery(target, event=event, **more)

    return LeadsTo(tuple(map(make, targets)), tuple(map(make, told)))


async def judge(books: Books, held_for: str = "", items: int = 3, life: str | None = None) -> None:
    """The gate has read the run."""
    one = gate(life=life) if life else gate()
    seq = int(await books.field("dl", one.id, "seq") or 0)
    taken = await books.ledger.take_delivery(one.id, seq)
    assert taken
    lease, record = taken
    facts = {"items_read": items, "held": held_for or None}
    if held_for:
        born = [
            Born(each, DeliveryState.QUARANTINED, "not_as_expected", held_for, facts) for each in record.leads_to.wanted
        ]
        born += [Born(each, DeliveryState.WAITING, facts=facts) for each in record.leads_to.told]
    else:
        born = [Born(each, DeliveryState.WAITING, facts=facts) for each in record.leads_to.wanted]
    usual = None if held_for else (books.keys.usual("all", "A1"), items)
    said: dict[str, Any] = {"reason": "not_as_expected" if held_for else "", "detail": held_for}
    await books.ledger.judge(lease, born, usual, Signal.READ, facts=msgspec.json.encode(facts), **said)


def event_of(body: bytes = b"{}") -> str:
    """What the id of an event of this body is, before there is one."""
    return event_id("apify", None, body)


async def kept(books: Books, *targets: str, told: tuple[str, ...] = (), **more: Any) -> list[Delivery]:
    """Deliveries in quarantine."""
    leads_to = led(*targets, event=event_of(), told=told)
    await announced(books, leads_to, **more)
    await judge(books, WHY)
    return list(leads_to.wanted)


async def states(books: Books) -> dict[str, str]:
    _, ones = await books.ledger.of_run("apify", "run1")
    return {one.delivery.target: one.state.value for one in ones}


async def usual(books: Books) -> list[int]:
    return await books.ledger.usual("all", "A1")


async def test_what_is_as_expected_begins_with_what_the_gate_found(books: Books) -> None:
    await announced(books, led("rows", "lake", event=event_of(), told=("call",)))
    await judge(books, items=12)
    assert await states(books) == {"expect": "delivered", "rows": "waiting", "lake": "waiting"}
    taken = await books.ledger.take_delivery(delivery("rows").id, 1)
    assert taken
    assert taken[1].facts == {"items_read": 12, "held": None}
    assert await usual(books) == [12]


async def test_what_is_not_waits_for_a_person_and_others_are_told(books: Books) -> None:
    rows, lake = await kept(books, "rows", "lake", told=("call",))
    assert await states(books) == {
        "expect": "delivered",
        "rows": "quarantined",
        "lake": "quarantined",
        "call": "waiting",
    }
    record = await books.ledger.delivery(rows.id)
    assert record
    assert (record.reason, record.detail, record.facts) == ("not_as_expected", WHY, {"items_read": 3, "held": WHY})
    assert await usual(books) == []
    assert await books.ledger.take_delivery(rows.id, 1) is None
    assert 86_000 < (await books.due())[f"dl:{lake.id}"] <= 86_400
    (event, *_), _ = await books.ledger.of_run("apify", "run1")
    assert set(event.deliveries) == {gate().id, rows.id, lake.id, delivery("call").id}
    assert [one.delivery.id async for one in quarantined(books.ledger)] == sorted([rows.id, lake.id])


async def test_a_gate_that_lost_its_lease_leads_to_nothing(books: Books) -> None:
    await announced(books, led("rows", event=event_of()))
    taken = await books.ledger.take_delivery(gate().id, 1)
    assert taken
    await books.expire(taken[0])
    before = await books.snapshot()
    with pytest.raises(LeaseLost):
        await books.ledger.judge(taken[0], [Born(delivery("rows"), DeliveryState.WAITING)], ("rr:u", 1), Signal.READ)
    assert await books.snapshot() == before


async def test_release_delivers_and_counts_the_run_as_usual_once(books: Books) -> None:
    rows, lake = await kept(books, "rows", "lake")
    for one in (rows, lake):
        record = await books.ledger.delivery(one.id)
        assert record
        assert await release(books.ledger, record) is Outcome.DONE
        assert await release(books.ledger, record) is Outcome.CHANGED
    assert await usual(books) == [3]
    assert await states(books) == {"expect": "delivered", "rows": "waiting", "lake": "waiting"}
    taken = await books.ledger.take_delivery(rows.id, 1)
    assert taken
    assert (taken[1].reason, taken[1].facts["items_read"]) == ("", 3)
    assert await held(books.redis, books.keys) == []


async def test_discard_is_final_and_nothing_is_deleted_after_it(books: Books) -> None:
    wish = after("dataset")
    rows, lake = await kept(books, "rows", "lake", after=wish)
    one, other = [await books.ledger.delivery(each.id) for each in (rows, lake)]
    assert one
    assert other
    assert await discard(books.ledger, one) is Outcome.DONE
    assert await discard(books.ledger, one) is Outcome.CHANGED
    assert await release(books.ledger, one) is Outcome.CHANGED
    assert await discard(books.ledger, other) is Outcome.DONE
    assert await states(books) == {"expect": "delivered", "rows": "dropped", "lake": "dropped"}
    assert await books.due() == {}
    assert await held(books.redis, books.keys) == []
    assert await books.ledger.after(wish.id) is None


async def test_what_comes_after_waits_for_what_is_held(books: Books) -> None:
    wish = after("dataset")
    (rows,) = await kept(books, "rows", told=("call",), after=wish)
    await books.end(delivery("call"))
    assert await books.ledger.after(wish.id) is None
    record = await books.ledger.delivery(rows.id)
    assert record
    await release(books.ledger, record)
    await books.end(rows)
    assert await books.ledger.after(wish.id)


async def test_a_later_finish_has_the_rows_of_an_older_one(books: Books) -> None:
    (rows,) = await kept(books, "rows")
    later = b'{"later": 1}'
    leads_to = led("rows", event=event_of(later), life=LATER)
    await announced(books, leads_to, later, of=msgspec.structs.replace(ACTOR_RUN, life=LATER))
    await judge(books, WHY, life=LATER)
    record, newer = [await books.ledger.delivery(one.id) for one in (rows, leads_to.wanted[0])]
    assert record
    assert newer
    assert await release(books.ledger, record) is Outcome.SUPERSEDED
    assert await release(books.ledger, newer) is Outcome.DONE
    assert await discard(books.ledger, record) is Outcome.DONE


async def test_a_gate_that_is_there_leads_to_what_another_announcement_wants(books: Books) -> None:
    await announced(books, led("rows", event=event_of()))
    more = b'{"more": 1}'
    second = await announced(books, led("rows", "lake", event=event_of(more), told=("call",)), more)
    await judge(books, WHY)
    assert await states(books) == {
        "expect": "delivered",
        "rows": "quarantined",
        "lake": "quarantined",
        "call": "waiting",
    }
    event = await books.ledger.event(second.id)
    assert event
    assert set(event.deliveries) == {gate().id, delivery("lake").id, delivery("call").id}


@pytest.mark.parametrize(
    ("found", "released", "lake", "call"),
    [("", False, "waiting", None), (WHY, False, "quarantined", "waiting"), (WHY, True, "waiting", None)],
)
async def test_a_gate_that_has_judged_says_the_same_of_what_is_wanted_later(
    books: Books, found: str, released: bool, lake: str, call: str | None
) -> None:
    await announced(books, led("rows", event=event_of()))
    await judge(books, found, items=12)
    if released:
        record = await books.ledger.delivery(delivery("rows").id)
        assert record
        await release(books.ledger, record)
    more = b'{"more": 1}'
    await announced(books, led("rows", "lake", event=event_of(more), told=("call",)), more)
    found_now = await states(books)
    assert (found_now["lake"], found_now.get("call")) == (lake, call)
    record = await books.ledger.delivery(delivery("lake").id)
    assert record
    assert record.facts == {"items_read": 12, "held": found or None}


async def test_a_gate_that_died_goes_on_with_what_it_counted_and_one_given_up_leads_nowhere(books: Books) -> None:
    await announced(books, led("rows", event=event_of()))
    taken = await books.ledger.take_delivery(gate().id, 1)
    assert taken
    half = Checkpoint(offset=5, batch=1, tally={"items:default|items": 5}, seen={"unfit": "row 1"}, waits=3)
    await books.ledger.finish(taken[0], DeliveryState.DEAD, checkpoint=msgspec.json.encode(half))
    letter = await dead_letter(books.ledger, "dl", gate().id)
    assert letter
    assert await retry(books.ledger, letter) is Outcome.DONE
    again = await books.ledger.take_delivery(gate().id, int(await books.field("dl", gate().id, "seq") or 0))
    assert again
    assert (again[1].checkpoint, again[1].leads_to.wanted) == (
        msgspec.structs.replace(half, waits=0),
        taken[1].leads_to.wanted,
    )
    await books.ledger.finish(again[0], DeliveryState.DEAD)
    letter = await dead_letter(books.ledger, "dl", gate().id)
    assert letter
    assert await drop(books.ledger, letter) is Outcome.DONE
    assert await states(books) == {"expect": "dropped"}


async def test_what_is_held_is_told_by_route_and_reason_the_oldest_first(books: Books) -> None:
    rows, lake = await kept(books, "rows", "lake")
    first, _ = sorted([rows.id, lake.id])
    await books.redis.zadd(books.keys.quarantined, {first: 1000, "gone": 5, "odd": 6})
    await books.set("dl", "odd", delivery=b"no json", reason="x")
    assert await held(books.redis, books.keys) == [Held("all", "apify", "not_as_expected", 2, 1000, first)]
    assert await held(books.redis, books.keys, most=2) == []
    assert MOST == 250


async def test_what_is_held_is_told_of_before_its_data_goes_however_much_else_is_open(books: Books) -> None:
    ended = datetime.fromtimestamp(await books.now() / 1000 - 6.5 * 86400, UTC)
    life = ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    leads_to = led("rows", event=event_of(), life=life)
    await announced(books, leads_to)
    await judge(books, WHY, life=life)
    await books.redis.zadd(books.keys.due, {"ev:soonest": 0, "ev:latest": 10**15})
    sources: dict[str, Source] = {"apify": connect("apify", Config.model_validate({"token": "t0ken-t0ken"}))}
    (one,) = await expiring(books.redis, books.keys, sources, most=1)
    assert (one.id, one.target, one.held) == (leads_to.wanted[0].id, "rows", True)


def test_records_of_older_versions_are_read() -> None:
    assert msgspec.json.decode(b'{"offset": 3}', type=Checkpoint) == Checkpoint(offset=3)
    assert LeadsTo.of(b"") == LeadsTo()
    both = led("rows", "lake", event="e", told=("call",))
    assert LeadsTo.of(both.lines()) == both
