"""Deleting after a delivery, on a real ledger: every guard, and every way it can end. The platform is scripted."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest
from redis.asyncio import Redis

from config.contracts.after import After, AfterState
from config.contracts.api import Api
from config.contracts.delivery import DeliveryState
from config.contracts.errors import Forbidden, NotFound, Permanent, Transient, Unauthorized
from config.contracts.event import EventState
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Leftover, Source
from config.routes import load
from config.settings import Settings
from tests.workers.ledger.books import Books, about, after, delivery, run
from workers.after import delete_after
from workers.ledger.records import AfterRecord
from workers.planner import after_of
from workers.runtime import Runtime

FILE = """\
version: 1
sources:
  apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}
  twin: {type: apify, token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}
sinks: {disk: {type: file, base: results/}}
routes:
  - {name: all, when: {}, to: [{sink: disk}], after: {delete: [run, dataset]}}
  - {name: other, when: {}, to: [{sink: disk}], after: {delete: store}}
  - {name: plain, when: {}, to: [{sink: disk}]}
"""
EARLIER, LATER = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
WISH = after("dataset", "store", "run")


class Platform:
    """`shown` is the run, or is raised; `then`: the run after a deletion; `refuses`: what deletions raise; `meanwhile`:
    happens during each."""

    name = "apify"

    def __init__(self) -> None:
        self.shown: Run | Exception = run()
        self.then: Run | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.refuses: dict[str, BaseException] = {}
        self.deleted: list[str] = []
        self.looks = 0

    async def run(self, api: Api, run_id: str, said: bytes = b"") -> Run:
        self.looks += 1
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown

    async def delete(self, api: Api, run: Run, what: Leftover) -> None:
        if what in self.refuses:
            raise self.refuses[what]
        self.deleted.append(what)
        if self.meanwhile:
            await self.meanwhile()
        self.shown = self.then or self.shown


class Place:
    """A ledger with a delivered run, and the turn that deletes it."""

    def __init__(self, books: Books, runtime: Runtime, platform: Platform) -> None:
        self.books, self.runtime, self.platform = books, runtime, platform

    async def delivered(self, *targets: str, wish: After = WISH) -> None:
        ones = [delivery(target) for target in targets or ("rows",)]
        await self.books.plan(*ones, after=wish)
        for one in ones:
            await self.books.end(one)

    async def turn(self) -> AfterRecord:
        await self.books.overdue("af", WISH.id)
        await self.books.ledger.sweep(10)
        seq = int(await self.books.field("af", WISH.id, "seq") or 0)
        await delete_after(self.runtime, WISH.id, seq)
        record = await self.books.ledger.after(WISH.id)
        assert record
        return record

    async def refused(self) -> tuple[AfterState, str, str]:
        """What a turn that must not delete anything says."""
        record = await self.turn()
        assert self.platform.deleted == []
        return record.state, record.reason, record.detail


@pytest.fixture
def place(redis: Redis, settings: Settings, tmp_path: Path) -> Place:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    table = load(tmp_path / "runrelay.yaml", {})
    platform, books = Platform(), Books(redis)
    table.sources["apify"] = cast(Source, platform)
    runtime = Runtime(settings=settings, table=table, ledger=books.ledger, apis={"apify": cast(Api, None)})
    return Place(books, runtime, platform)


def test_what_is_wanted_by_any_route_is_deleted_and_the_run_last(tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    everything, other, plain = load(tmp_path / "runrelay.yaml", {}).routes
    assert after_of(run(), [plain, everything, other]) == WISH
    assert after_of(run(), [everything, plain]) == after("dataset", "run")
    assert after_of(run(), [plain]) is None


async def test_what_was_delivered_everywhere_is_deleted_after_a_look_before_each_step(place: Place) -> None:
    await place.delivered("rows", "log")
    record = await place.turn()
    assert (record.state, record.reason) == (AfterState.DONE, "")
    assert (place.platform.deleted, place.platform.looks) == (["dataset", "store", "run"], 3)
    assert await place.books.due() == {}


# guards in the ledger


@pytest.mark.parametrize("state", [DeliveryState.PARTIAL, DeliveryState.DEAD, DeliveryState.DROPPED])
async def test_nothing_is_deleted_unless_all_was_delivered(place: Place, state: DeliveryState) -> None:
    rows, files = delivery("rows"), delivery("log")
    await place.books.plan(rows, files, after=WISH)
    await place.books.end(files, state)
    await place.books.end(rows)
    assert await place.refused() == (AfterState.KEPT, "not_delivered", f"all/log is {state}")
    assert place.platform.looks == 0


async def test_a_delivery_in_quarantine_is_not_delivered(place: Place) -> None:
    await place.delivered()
    await place.books.set("dl", delivery().id, state="quarantined")
    assert await place.refused() == (AfterState.KEPT, "not_delivered", "all/rows is quarantined")


async def test_what_is_deleted_shows_that_the_platform_takes_our_token_again(place: Place) -> None:
    await place.delivered()
    await place.books.redis.hset(place.books.keys.circuit("source:apify"), "faults", "1")  # type: ignore[misc]  # one signature for both clients
    assert (await place.turn()).state is AfterState.DONE
    assert await place.books.redis.exists(place.books.keys.circuit("source:apify")) == 0


async def test_what_was_replayed_is_kept(place: Place) -> None:
    await place.delivered()
    again = delivery(generation=1)
    await place.books.plan(again, body=b"replay")
    await place.books.end(again)
    assert await place.refused() == (AfterState.KEPT, "not_delivered", "all/rows was replayed")


async def test_a_dead_letter_of_an_earlier_life_may_still_want_the_data(place: Place) -> None:
    earlier = delivery(life=EARLIER)
    await place.books.plan(earlier, body=b"earlier")
    await place.books.end(earlier, DeliveryState.DEAD)
    await place.delivered()
    assert await place.refused() == (AfterState.KEPT, "not_delivered", "all/rows is dead")


async def test_a_later_life_in_the_ledger_keeps_everything(place: Place) -> None:
    await place.delivered()
    await place.books.plan(delivery(life=LATER), body=b"later")
    assert await place.refused() == (AfterState.KEPT, "superseded", "all/rows took a later finish of the run")


async def test_what_another_source_of_the_same_account_has_yet_to_deliver_is_waited_for(place: Place) -> None:
    await place.delivered()
    twin = msgspec.structs.replace(delivery("twin"), id="twin", source="twin")
    await place.books.plan(twin, body=b"twin")
    assert await place.refused() == (AfterState.WAITING, "not_delivered", "all/twin is waiting")
    await place.books.end(twin)
    assert (await place.turn()).state is AfterState.DONE


async def test_another_webhook_of_the_run_is_waited_for(place: Place) -> None:
    await place.delivered()
    event = await place.books.accept(b"second")
    assert await place.refused() == (AfterState.WAITING, "not_delivered", "an announcement of the run is accepted")
    assert (await place.books.due())[f"af:{WISH.id}"] == about(30)
    taken = await place.books.ledger.take_event(event, 1)
    assert taken
    await place.books.ledger.plan(taken[0], EventState.PLANNED, run=run(), deliveries=[delivery()], documents={})
    assert (await place.turn()).state is AfterState.DONE


async def test_a_delivery_that_came_later_is_waited_for_ever_longer(place: Place) -> None:
    await place.delivered()
    await place.books.plan(delivery("late"), body=b"second")
    await place.books.set("af", WISH.id, at=await place.books.now() - 1000_000)
    assert await place.refused() == (AfterState.WAITING, "not_delivered", "all/late is waiting")
    assert (await place.books.due())[f"af:{WISH.id}"] == about(250)
    await place.books.end(delivery("late"))
    assert (await place.turn()).state is AfterState.DONE


async def test_a_dead_announcement_keeps_everything(place: Place) -> None:
    await place.delivered()
    event = await place.books.taken_event(b"second")
    await place.books.ledger.finish(event, EventState.DEAD)
    assert await place.refused() == (
        AfterState.KEPT,
        "not_delivered",
        "an announcement of the run is a dead letter",
    )


# guards at the platform


@pytest.mark.parametrize(
    "shown",
    [
        run(LATER),
        msgspec.structs.replace(run(), status="RUNNING", terminal=False, life="", finished=0.0),
        msgspec.structs.replace(run(), status="RUNNING", terminal=False),
    ],
)
async def test_a_run_that_was_resurrected_is_kept(place: Place, shown: Run) -> None:
    await place.delivered()
    place.platform.shown = shown
    said = f"the run was resurrected and is {shown.status} now"
    assert await place.refused() == (AfterState.KEPT, "superseded", said)


async def test_a_run_that_is_resurrected_in_between_keeps_the_rest(place: Place) -> None:
    await place.delivered()
    place.platform.then = run(LATER)
    record = await place.turn()
    assert (record.state, record.reason, place.platform.deleted) == (AfterState.KEPT, "superseded", ["dataset"])


async def test_what_the_ledger_hears_in_between_keeps_the_rest(place: Place) -> None:
    await place.delivered()

    async def replayed() -> None:
        await place.books.plan(delivery(generation=1), body=b"2")

    place.platform.meanwhile = replayed
    record = await place.turn()
    assert (record.state, record.reason, place.platform.deleted) == (AfterState.KEPT, "not_delivered", ["dataset"])


async def test_a_run_that_is_gone_is_deleted(place: Place) -> None:
    await place.delivered()
    place.platform.shown = NotFound(Reason.DATA_EXPIRED, "HTTP 404")
    assert await place.refused() == (AfterState.DONE, "", "")


# trouble


@pytest.mark.parametrize(("error", "again"), [(Forbidden, 60), (Unauthorized, 3600)])
async def test_a_refused_token_pauses_it_until_somebody_helps(
    place: Place, error: type[Unauthorized], again: int
) -> None:
    """One that is good for nothing is tried by one of all that wait for the platform: this one stands in line."""
    await place.delivered()
    place.platform.refuses["dataset"] = error(Reason.SOURCE_TOKEN_REFUSED, "HTTP 403 insufficient-permissions")
    assert await place.refused() == (
        AfterState.PAUSED,
        "source_token_refused",
        "HTTP 403 insufficient-permissions",
    )
    assert (await place.books.due())[f"af:{WISH.id}"] == about(again)
    place.platform.refuses.clear()
    await place.books.ledger.resume("source:apify")
    assert (await place.turn()).state is AfterState.DONE


async def test_trouble_is_tried_again_on_the_usual_schedule_and_ends_visibly(place: Place) -> None:
    await place.delivered()
    place.platform.shown = Transient(Reason.SOURCE_UNAVAILABLE, "HTTP 503")
    assert await place.refused() == (AfterState.WAITING, "source_unavailable", "HTTP 503")
    assert (await place.books.due())[f"af:{WISH.id}"] == about(6)
    record = await place.turn()
    assert (record.attempt, record.trouble > 0) == (2, True)
    await place.books.set("af", WISH.id, trouble=1)
    state, reason, detail = await place.refused()
    assert (state, reason) == (AfterState.DEAD, "retries_exhausted")
    assert detail == "3 tries; the last one: source_unavailable: HTTP 503"
    assert await place.books.redis.zrange(place.books.keys.dead, 0, -1) == [f"af:{WISH.id}".encode()]


async def test_a_final_no_of_the_platform_is_a_dead_letter(place: Place) -> None:
    await place.delivered()
    place.platform.refuses["dataset"] = Permanent(Reason.SOURCE_REFUSED, "HTTP 400 cannot-remove-running-run")
    assert await place.refused() == (AfterState.DEAD, "source_refused", "HTTP 400 cannot-remove-running-run")


async def test_a_bug_is_tried_again(place: Place) -> None:
    await place.delivered()
    place.platform.shown = ZeroDivisionError("oops")
    assert await place.refused() == (AfterState.WAITING, "internal_error", "ZeroDivisionError")


async def test_a_source_that_is_gone_waits_for_it(place: Place) -> None:
    await place.delivered()
    del place.runtime.table.sources["apify"]
    state, reason, _ = await place.refused()
    assert (state, reason) == (AfterState.WAITING, "config_gone")


async def test_a_kill_between_two_deletions_goes_on(place: Place) -> None:
    await place.delivered()
    place.platform.refuses["store"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await place.turn()
    assert place.platform.deleted == ["dataset"]
    place.platform.refuses.clear()
    await place.books.redis.delete(place.books.keys.lease(WISH.id))
    assert (await place.turn()).state is AfterState.DONE
    assert place.platform.deleted == ["dataset", "dataset", "store", "run"]


async def test_whoever_lost_the_lease_deletes_nothing_more(place: Place) -> None:
    await place.delivered()
    await place.books.overdue("af", WISH.id)
    await place.books.ledger.sweep(10)
    held = await place.books.ledger.take_after(WISH.id, 1)
    assert held
    await delete_after(place.runtime, WISH.id, 1)
    assert (place.platform.looks, place.platform.deleted) == (0, [])
