"""What is forgotten, when, and what is never: on a real Valkey, whose history is made older."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from config.contracts.after import AfterState
from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.event import EventState, event_id
from config.keys import RecordKind
from config.routes import load
from tests.workers.ledger.books import DOCUMENTS, Books, after, delivery
from workers.ledger.forgetting import DAY, Forgetting, Lifetimes, Step, lifetimes
from workers.ledger.letters import Outcome, dead_letter, drop, next_generation, replay, retry

KEEP = Lifetimes(ended=30 * DAY, dead=90 * DAY)
LATER = "2026-02-01T00:00:00.000Z"
WISH = after("dataset")


async def later(books: Books, days: float) -> None:
    """Everything happened so much longer ago."""
    ms = round(days * DAY * 1000)
    for key in (books.keys.events, books.keys.deliveries, books.keys.dead, "rr:cfgs"):
        for member, score in await books.redis.zrange(key, 0, -1, withscores=True):
            await books.redis.zadd(key, {member: score - ms})
    kinds: tuple[RecordKind, ...] = ("ev", "dl", "af")
    for kind in kinds:
        async for raw in books.redis.scan_iter(f"rr:{kind}:*"):
            record_id = raw.decode().rpartition(":")[2]
            for name in ("at", "ended"):
                if (had := int(await books.field(kind, record_id, name) or 0)) > 0:
                    await books.set(kind, record_id, **{name: had - ms})


async def forget(books: Books, most: int = 100) -> dict[str, int]:
    """A whole pass: how many of what went."""
    forgetting = Forgetting(books.redis, books.keys)
    gone = {"dl": 0, "ev": 0, "cfg": 0}
    for kind in ("dl", "ev"):
        through = False
        while not through:
            step = await forgetting.step(kind, KEEP, most)
            gone[kind] += step.forgotten
            assert not step.odd
            through = step.through
    gone["cfg"] = await forgetting.documents()
    return {kind: number for kind, number in gone.items() if number}


async def keys(books: Books) -> set[str]:
    """Every key there is; `seen` and jobs of wake-ups go by themselves."""
    found = [raw.decode() async for raw in books.redis.scan_iter()]
    return {key for key in found if not key.startswith(("rr:seen:", "arq:job:"))}


async def ended(
    books: Books, *ones: Delivery, state: DeliveryState = DeliveryState.DELIVERED, body: bytes = b"{}"
) -> str:
    """An event and its deliveries, all come to their end; the event's id."""
    event = (await books.plan(*ones, body=body)).id
    for one in ones:
        await books.end(one, state)
    return event


async def members(books: Books) -> set[bytes]:
    """What is known of run1."""
    return await cast("Awaitable[set[bytes]]", books.redis.smembers("rr:run:apify:run1"))


async def after_done(books: Books, state: AfterState = AfterState.DONE) -> None:
    await books.overdue("af", WISH.id)
    assert await books.ledger.sweep(10) == 1
    taken = await books.ledger.take_after(WISH.id, 1)
    assert taken
    await books.ledger.finish(taken[0], state)


async def test_what_was_delivered_goes_after_its_time_and_leaves_nothing(books: Books) -> None:
    one, other = delivery("rows"), delivery("files")
    await ended(books, one, other)
    await later(books, 29.9)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)
    await later(books, 0.2)
    assert await forget(books) == {"dl": 2, "ev": 1, "cfg": 1}
    assert await keys(books) == set()


@pytest.mark.parametrize("state", [EventState.UNMATCHED, EventState.SUPERSEDED])
async def test_an_event_without_deliveries_goes_after_its_time(books: Books, state: EventState) -> None:
    await books.ledger.finish(await books.taken_event(), state)
    await later(books, 29.9)
    assert await forget(books) == {}
    await later(books, 0.2)
    assert await forget(books) == {"ev": 1}
    assert await keys(books) == set()


async def test_its_time_counts_from_the_end(books: Books) -> None:
    one = delivery()
    await books.plan(one)
    await later(books, 40)
    await books.end(one)
    assert await forget(books) == {}
    await later(books, 29.9)
    assert await forget(books) == {}
    await later(books, 0.2)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}


@pytest.mark.parametrize("state", [state for state in DeliveryState if not state.final])
async def test_a_delivery_that_has_not_ended_stays_with_all_it_needs(books: Books, state: DeliveryState) -> None:
    one = delivery()
    await books.plan(one)
    await books.set("dl", one.id, state=state.value)
    await later(books, 1000)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)


@pytest.mark.parametrize("state", [state for state in EventState if not state.final])
async def test_an_event_that_has_not_ended_stays(books: Books, state: EventState) -> None:
    event = await books.accept()
    await books.set("ev", event, state=state.value)
    await later(books, 1000)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)


@pytest.mark.parametrize("said", [{"state": "waiting", "ended": 1}, {"state": "delivered", "ended": 0}])
async def test_only_what_says_itself_when_it_ended_goes(books: Books, said: dict[str, str | int]) -> None:
    """Whatever the list of its run says."""
    one = delivery()
    await books.plan(one)
    await later(books, 1000)
    await books.set("dl", one.id, **said)
    await books.redis.delete("rr:run:apify:run1")
    assert await forget(books) == {}
    assert await books.ledger.delivery(one.id)


async def test_an_event_stays_as_long_as_one_of_its_deliveries(books: Books) -> None:
    event = event_id("apify", None, b"{}")
    one, other = delivery("rows", event=event), delivery("files", event=event)
    await ended(books, one, other)
    await later(books, 20)
    assert await replay(books.ledger, "apify", "run1", [next_generation(one)], {}) == [Outcome.MADE]
    await books.end(next_generation(one))
    await later(books, 15)
    assert await forget(books) == {"dl": 2}
    assert [known.id for known in (await books.ledger.of_run("apify", "run1"))[0]] == [event]
    assert await books.redis.exists("rr:cfg:sha1"), "a replay uses the document of what it replays"
    await later(books, 16)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}
    assert await keys(books) == set()


async def test_dead_letters_are_kept_for_ninety_days(books: Books) -> None:
    one = delivery()
    await ended(books, one, state=DeliveryState.DEAD)
    await books.ledger.finish(await books.taken_event(b"lost"), EventState.DEAD)
    await later(books, 89.9)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)
    await later(books, 0.2)
    assert await forget(books) == {"dl": 1, "ev": 2, "cfg": 1}
    assert await keys(books) == set()


async def test_a_retried_dead_letter_is_under_way_and_stays(books: Books) -> None:
    one = delivery()
    await ended(books, one, state=DeliveryState.DEAD)
    await later(books, 91)
    letter = await dead_letter(books.ledger, "dl", one.id)
    assert letter
    assert await retry(books.ledger, letter) is Outcome.DONE
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)


async def test_what_was_dropped_goes_like_what_was_delivered_counted_from_the_drop(books: Books) -> None:
    one = delivery()
    await ended(books, one, state=DeliveryState.DEAD)
    await later(books, 60)
    letter = await dead_letter(books.ledger, "dl", one.id)
    assert letter
    assert await drop(books.ledger, letter) is Outcome.DONE
    assert await forget(books) == {}
    await later(books, 31)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}


async def test_deliveries_stay_while_a_dead_letter_of_their_run_may_be_retried(books: Books) -> None:
    """It would not know that its rows have been taken over."""
    dead, went_on = delivery(), delivery(life=LATER)
    await ended(books, dead, state=DeliveryState.DEAD)
    await ended(books, went_on, body=b"second")
    await later(books, 60)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)
    letter = await dead_letter(books.ledger, "dl", dead.id)
    assert letter
    assert await retry(books.ledger, letter) is Outcome.SUPERSEDED


async def test_deliveries_stay_while_something_of_their_run_is_under_way(books: Books) -> None:
    """It goes on from where they ended."""
    await ended(books, delivery())
    await later(books, 31)
    await books.plan(delivery(life=LATER), body=b"second")
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)


async def test_deliveries_stay_while_their_run_is_announced_once_more(books: Books) -> None:
    await ended(books, delivery())
    await later(books, 31)
    await books.accept(b"second")
    assert await forget(books) == {}


async def test_announcements_stay_while_something_of_their_run_may_go_on(books: Books) -> None:
    """What was dropped of a run must not be taken for delivered."""
    await books.ledger.finish(await books.taken_event(), EventState.DROPPED)
    await books.ledger.finish(await books.taken_event(b"second"), EventState.DEAD)
    await later(books, 60)
    before = await books.snapshot()
    assert (await forget(books), await books.snapshot()) == ({}, before)


async def test_another_run_holds_nothing_up(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    await later(books, 31)
    other = replace(delivery("elsewhere"), run_id="run2")
    await books.plan(other, body=b"second")
    assert await forget(books) == {"dl": 1, "ev": 1}
    assert await members(books) == {f"ev:{event_id('apify', None, b'second')}".encode()}


@pytest.mark.parametrize("most", [1, 100])
async def test_what_comes_after_a_run_goes_with_the_last_delivery_of_its_finish(books: Books, most: int) -> None:
    one, other, elsewhen = delivery("rows"), delivery("files"), delivery(life=LATER)
    await books.plan(one, other, after=WISH)
    await books.end(one)
    await books.end(other)
    await after_done(books)
    await later(books, 10)
    await ended(books, elsewhen, body=b"second")
    await later(books, 21)
    assert await forget(books, most) == {"dl": 2, "ev": 1}
    assert await books.ledger.after(WISH.id) is None
    assert await members(books) == {
        f"dl:{elsewhen.id}".encode(),
        f"ev:{event_id('apify', None, b'second')}".encode(),
    }


async def test_what_comes_after_a_run_is_there_until_then(books: Books) -> None:
    one, other = delivery("rows"), delivery("files")
    await books.plan(one, after=WISH)
    await books.end(one)
    await after_done(books)
    await later(books, 10)
    await ended(books, other, body=b"second")
    await later(books, 21)
    assert await forget(books) == {"dl": 1, "ev": 1}
    assert await books.ledger.after(WISH.id)
    await later(books, 10)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}
    assert await keys(books) == set()


@pytest.mark.parametrize(("state", "days"), [(AfterState.DONE, 30), (AfterState.KEPT, 30), (AfterState.DEAD, 90)])
async def test_the_last_delivery_stays_as_long_as_what_came_after_it(
    books: Books, state: AfterState, days: float
) -> None:
    await books.plan(delivery(), after=WISH)
    await books.end(delivery())
    await later(books, 200)
    assert await forget(books) == {}, "it is under way"
    await after_done(books, state)
    await later(books, days - 0.1)
    assert await forget(books) == {}
    await later(books, 0.2)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}
    assert await keys(books) == set()


async def test_a_document_stays_thirty_days_after_its_last_use_however_old_it_is(books: Books) -> None:
    await ended(books, delivery())
    await later(books, 29)
    await ended(books, delivery(life=LATER), body=b"second")
    await later(books, 29)
    assert await forget(books) == {"dl": 1, "ev": 1}
    assert await books.ledger.document("sha1") == DOCUMENTS["sha1"]
    await later(books, 2)
    assert await forget(books) == {"dl": 1, "ev": 1, "cfg": 1}
    assert await books.ledger.document("sha1") is None


async def test_a_document_stays_while_a_delivery_refers_to_it(books: Books) -> None:
    await books.plan(delivery())
    await later(books, 1000)
    assert await Forgetting(books.redis, books.keys).documents() == 0
    assert await books.ledger.document("sha1")


async def test_a_document_whose_use_was_never_noted_goes_in_the_end(books: Books) -> None:
    """As it is with records of an earlier version."""
    await ended(books, delivery())
    await books.redis.delete("rr:cfgs")
    await later(books, 31)
    assert await forget(books) == {"dl": 1, "ev": 1}
    await later(books, 31)
    assert await forget(books) == {"cfg": 1}
    assert await keys(books) == set()


async def test_a_pass_goes_on_where_the_last_step_stopped_and_then_begins_again(books: Books) -> None:
    """Whoever makes the steps: with a worker that is killed nothing of the pass is lost."""
    ones = [replace(delivery(), run_id=f"run{n}", id=f"{n}" * 64) for n in range(5)]
    for one in ones:
        await ended(books, one, body=one.id.encode())
    await later(books, 31)
    for one in (ones[0], ones[2], ones[3]):
        await books.set("dl", one.id, state="paused")
    steps = [await Forgetting(books.redis, books.keys).step("dl", KEEP, 2) for _ in range(3)]
    assert steps == [Step(1, 0, False), Step(0, 0, False), Step(1, 0, True)]
    await books.set("dl", ones[0].id, state="delivered")
    assert await Forgetting(books.redis, books.keys).step("dl", KEEP, 2) == Step(1, 0, False)


async def test_the_younger_history_is_not_looked_at(books: Books) -> None:
    await books.redis.zadd(books.keys.deliveries, {f"{n}": await books.now() for n in range(500)})
    assert await Forgetting(books.redis, books.keys).step("dl", KEEP) == Step(0, 0, True)


async def test_one_record_nobody_can_read_holds_nothing_up(books: Books) -> None:
    odd, fine = replace(delivery("odd"), run_id="run2"), delivery("fine")
    await ended(books, odd)
    await ended(books, fine, body=b"second")
    await books.set("dl", odd.id, delivery=b"{odd")
    await later(books, 31)
    step = await Forgetting(books.redis, books.keys).step("dl", KEEP)
    assert step == Step(1, 1, True)
    assert await books.ledger.delivery(fine.id) is None


async def test_what_was_never_quite_born_leaves_nothing(books: Books) -> None:
    one = delivery()
    await ended(books, one)
    await books.redis.zadd(books.keys.deliveries, {"half": await books.now()})
    await books.redis.sadd("rr:run:apify:run1", "dl:half")  # type: ignore[misc]  # one signature for both clients
    await books.set("dl", "half", seq=1, missed=1)
    await later(books, 31)
    assert await forget(books) == {"dl": 2, "ev": 1, "cfg": 1}
    assert await keys(books) == set()


async def test_a_run_that_was_announced_very_often_is_taken_in_several_steps(books: Books) -> None:
    for n in range(3):
        run = f"rr:run:apify:run{n}"
        await books.redis.sadd(run, *(f"ev:{n}:{k}" for k in range(1500)))  # type: ignore[misc]  # as above
        for k in range(1500):
            await books.set("ev", f"{n}:{k}", state="unmatched", source="apify", run=f"run{n}", ended=1)
        await books.redis.zadd(books.keys.events, {f"{n}:{k}": k for k in range(1500)})
    gone = [(await Forgetting(books.redis, books.keys).step("ev", KEEP, 3000)).forgotten for _ in range(3)]
    assert sum(gone) < 4500
    assert await forget(books, most=3000) == {"ev": 4500 - sum(gone)}
    assert await keys(books) == set()


async def test_two_that_forget_at_once_forget_the_same(books: Books) -> None:
    for n in range(40):
        await ended(books, replace(delivery(), run_id=f"run{n}", id=f"{n:064}"), body=b"%d" % n)
    await later(books, 31)
    both = await asyncio.gather(forget(books, most=3), forget(books, most=3))
    assert sum(one.get("dl", 0) for one in both) == 40
    assert {key for key in await keys(books) if ":dl:" in key} == set()


def table(folder: Path, rest: str) -> Lifetimes:
    file = folder / "runrelay.yaml"
    file.write_text(f"""\
version: 1
sources: {{apify: {{token: t0ken-t0ken, webhook: {{secrets: [s3cret]}}{rest}}}}}
sinks: {{out: {{type: stdout}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
defaults: {{history: {{keep: 2d}}}}
""")
    return lifetimes(load(file, {}))


def test_nothing_is_forgotten_while_its_webhook_may_come_again_or_a_source_may_find_it(tmp_path: Path) -> None:
    assert table(tmp_path, "") == Lifetimes(ended=3 * DAY, dead=90 * DAY)
    assert table(tmp_path, ", reconcile: {lookback: 10d}") == Lifetimes(ended=11 * DAY, dead=90 * DAY)
