"""One look at the ledger, on a real Valkey: what is counted, what is sampled; and no single record spoils it."""

from config.contracts.delivery import DeliveryState
from config.contracts.errors import Forbidden
from config.contracts.reasons import Reason
from tests.workers.ledger.books import Books, delivery
from workers.ledger.holds import Hold
from workers.ledger.records import Signal
from workers.ledger.standing import Place, look, sign_off, sign_on


async def test_an_empty_ledger_has_nothing_to_say(books: Books) -> None:
    standing = await look(books.redis, books.keys)
    assert (standing.open, standing.dead, standing.looked, standing.wanted) == (0, 0, 0, 0)
    assert (standing.states, standing.oldest_event, standing.oldest) == ({}, None, {})
    assert (standing.paused, standing.letters, standing.delivered, standing.workers) == ([], [], {}, [])
    assert standing.memory
    assert 0 < standing.memory.ratio < 1


async def test_everything_open_is_counted_by_state_and_the_oldest_by_where_it_leads(books: Books) -> None:
    waiting, running, paused = (delivery(target) for target in ("rows", "files", "crm"))
    event = await books.accept(b"{}")
    await books.plan(waiting, running, paused, body=b"another")
    await books.set("ev", event, at=1000)
    await books.set("dl", waiting.id, at=2000)
    assert await books.ledger.take_delivery(running.id, 1)
    await _pause(books, paused.id, Reason.TOKEN_REFUSED)
    await books.set("dl", paused.id, at=3000)

    standing = await look(books.redis, books.keys)
    assert (standing.open, standing.looked) == (4, 4)
    assert standing.states == {
        "events": {"accepted": 1},
        "deliveries": {"waiting": 1, "running": 1, "paused": 1},
    }
    assert standing.oldest_event == 1000
    assert (standing.oldest[Place("all", "rows")], standing.oldest[Place("all", "crm")]) == (2000, 3000)
    assert standing.paused == [Hold("target", "all/crm", "refused", "token_refused", since=3000, waiting=1)]
    assert standing.wanted == 3, "the event, the one that waits and the one that runs; not the paused one"


async def test_a_source_that_refused_our_token_is_paused_for_whatever_waits_for_it(books: Books) -> None:
    event, one = await books.accept(), delivery()
    taken = await books.ledger.take_event(event, 1)
    assert taken
    await books.ledger.hand_back(taken[0], "accepted", 60, reason=Reason.SOURCE_TOKEN_REFUSED)
    await books.plan(one, body=b"another")
    await _pause(books, one.id, Reason.SOURCE_TOKEN_REFUSED)
    await books.set("ev", event, at=4000)
    standing = await look(books.redis, books.keys)
    assert standing.paused == [Hold("source", "apify", "refused", "source_token_refused", since=4000, waiting=2)]


async def test_dead_letters_are_grouped_by_reason_and_the_end_of_a_route_is_its_last(books: Books) -> None:
    dead = [delivery(f"t{n}") for n in range(3)]
    good = delivery("good")
    await books.plan(*dead, good)
    for one, reason in zip(dead, ("poison", "data_expired", "poison"), strict=True):
        taken = await books.ledger.take_delivery(one.id, 1)
        assert taken
        await books.ledger.finish(taken[0], DeliveryState.DEAD, reason=reason)
    await books.end(good)
    await books.set("dl", good.id, ended=5000)

    standing = await look(books.redis, books.keys)
    assert (standing.open, standing.dead) == (0, 3)
    assert [(letters.reason, letters.number) for letters in standing.letters] == [("poison", 2), ("data_expired", 1)]
    assert standing.letters[0].example in {dead[0].id, dead[2].id}
    assert standing.delivered == {"all": 5000}


async def test_a_look_is_bounded_and_sees_both_ends_of_what_is_due(books: Books) -> None:
    events = [await books.accept(b"%d" % n) for n in range(7)]
    for place, event in enumerate(events):
        await books.redis.zadd(books.keys.due, {f"ev:{event}": place})
        await books.set("ev", event, at=1000 + place if place < 6 else 10)
    standing = await look(books.redis, books.keys, most=2)
    assert (standing.open, standing.looked, standing.oldest_event) == (7, 4, 10)


async def test_a_record_that_is_gone_or_cannot_be_read_spoils_nothing(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    await books.set("dl", one.id, delivery=b"{odd")
    await books.redis.zadd(books.keys.due, {"ev:gone": 1, "zz:odd": 2})
    standing = await look(books.redis, books.keys)
    assert (standing.open, standing.looked, standing.states) == (3, 1, {"deliveries": {"waiting": 1}})


async def test_workers_are_alive_until_they_sign_off_or_are_silent(books: Books) -> None:
    now = await books.now()
    await sign_on(books.redis, books.keys, "a:1", now, 10)
    await sign_on(books.redis, books.keys, "b:1", now, 10)
    await sign_on(books.redis, books.keys, "silent:1", now - 50_000, 10)
    assert (await look(books.redis, books.keys)).workers == ["a:1", "b:1"]
    await sign_off(books.redis, books.keys, "a:1")
    await sign_on(books.redis, books.keys, "b:1", now + 1, 10)
    assert await books.redis.zrange(books.keys.workers, 0, -1) == [b"b:1"]


async def _pause(books: Books, delivery_id: str, reason: Reason) -> None:
    taken = await books.ledger.take_delivery(delivery_id, 1)
    assert taken
    error = Forbidden(reason, "HTTP 401")
    await books.ledger.hand_back(taken[0], "paused", 60, reason=error.reason, detail=error.detail)


async def test_holds_say_why_and_who_waits_and_a_crowd_wants_slots(books: Books) -> None:
    await books.redis.set(books.keys.breadth, 1)
    crowd = [delivery("crowd", life=f"2026-01-30T07:38:{n:02}.000Z") for n in range(4)]
    refused, held = delivery("refused"), delivery("held")
    await books.ledger.pause("sink:nobody's", await books.now() - 1)
    await books.ledger.pause("target:all/held")
    await books.plan(refused, held, *crowd)
    taken = await books.ledger.take_delivery(refused.id, 1)
    assert taken
    said = {"reason": "token_refused", "detail": "HTTP 401"}
    await books.ledger.hand_back(taken[0], "paused", 60, Signal.REFUSED, **said)
    standing = await look(books.redis, books.keys)
    first, second = standing.paused
    assert second == Hold("target", "all/held", "held", waiting=1)
    assert first[:5] == ("target", "all/refused", "refused", "token_refused", "HTTP 401")
    assert (first.until - first.since, first.waiting) == (15_000, 1)
    assert standing.wanted == 4, "one of the crowd has the place, three wait for one; who is held wants none"
