"""Runs that nobody announced are found: on a real ledger, with the emulator as the platform."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.contracts.errors import Transient
from config.contracts.event import Event, EventState, digest
from config.contracts.source import Reconcile
from config.routes import load
from config.settings import Settings
from emulator.scenarios import Answer, Fault
from tests.workers.care.conftest import OFTEN, Place
from tests.workers.ledger.books import delivery
from workers.care import reconciler as module
from workers.care.reconciler import Reconciler, reconcile_forever
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord
from workers.ledger.signs import Missed, missed
from workers.runtime import Runtime


def counted() -> float:
    return REGISTRY.get_sample_value("runrelay_reconcile_found_total", {"source": "apify"}) or 0.0


async def test_a_run_nobody_announced_is_found_once(place: Place) -> None:
    await place.reconciler.begin()
    before = counted()
    run = await place.platform.finished_run({})
    with capture_logs() as logs:
        assert await place.turn() == [run]
        assert await place.turn() == [run]
    (event,) = await place.ledger.newest_events(10)
    identity = digest("apify", run, await place.life(run))
    assert (event.id, event.via, event.body, event.state) == (identity, "reconcile", b"", EventState.ACCEPTED)
    assert [(line["event"], line["log_level"], line["runs"], line["missed"]) for line in logs] == [
        ("reconciler.webhooks_missing", "warning", 1, 1)
    ]
    assert counted() - before == 1
    assert await missed(place.ledger.redis, place.ledger.keys) == {"apify": Missed(1, run)}


async def test_it_is_a_duplicate_for_whoever_finds_it_at_the_same_time(place: Place) -> None:
    await place.reconciler.begin()
    await place.platform.finished_run({})
    (one,) = [run async for run in place.reconciler.unannounced(3600)]
    assert [await place.reconciler.take(one), await place.another().take(one)] == [True, False]


async def test_a_run_with_a_webhook_is_left_alone(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    await place.inbox.accept([Event(id="hook", source="apify", run_id=run)])
    assert await place.turn() == [run]
    taken = await place.ledger.take_event("hook", 1)
    assert taken
    fetched = await place.platform.source.run(place.platform.api, run)
    await place.ledger.plan(taken[0], EventState.UNMATCHED, run=fetched, deliveries=[], documents={})
    assert await place.turn() == [run]
    await place.another().look(OFTEN)
    assert len(await place.ledger.newest_events(10)) == 1


async def test_an_event_that_died_without_meeting_its_run_is_an_announcement_too(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    await place.inbox.accept([Event(id="hook", source="apify", run_id=run)])
    taken = await place.ledger.take_event("hook", 1)
    assert taken
    await place.ledger.finish(taken[0], EventState.DEAD, reason="retries_exhausted")
    assert await place.turn() == [run]


async def test_a_delivery_whose_event_is_forgotten_still_counts(place: Place, redis: Redis) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    life = await place.life(run)
    sent = msgspec.structs.replace(delivery(life=life), run_id=run)
    await cast(Any, redis.sadd(f"rr:run:apify:{run}", f"dl:{sent.id}"))
    fields = {"state": "delivered", "delivery": msgspec.json.encode(sent), "checkpoint": b"{}"}
    await cast(Any, redis.hset(f"rr:dl:{sent.id}", mapping=fields))
    assert await place.turn() == []


async def test_what_is_known_is_not_looked_up_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    lookups: list[str] = []
    honest = Ledger.of_run

    async def of_run(self: Ledger, source: str, run_id: str) -> tuple[list[EventRecord], list[DeliveryRecord]]:
        lookups.append(run_id)
        return await honest(self, source, run_id)

    monkeypatch.setattr(Ledger, "of_run", of_run)
    for _ in range(4):
        assert await place.turn() == [run]
    assert lookups == [run, run], "to find it, and to see that it is there"


async def test_a_first_start_takes_nothing_old(place: Place) -> None:
    await place.platform.finished_run({})
    assert await place.turn() == []
    new = await place.platform.finished_run({})
    assert await place.turn() == [new]


async def test_a_lost_ledger_catches_nothing_up_and_says_what_would(place: Place, redis: Redis) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    assert await place.turn() == [run]
    await redis.flushall()
    with capture_logs() as logs:
        assert await place.turn() == []
        assert await place.turn() == []
    assert [line["event"] for line in logs] == ["reconciler.first_start"]
    assert "runrelay backfill" in logs[0]["hint"]


async def test_without_a_first_start_nothing_is_missed(place: Place) -> None:
    await place.platform.finished_run({})
    assert [run async for run in place.reconciler.unannounced(3600)] == []


async def test_a_run_that_has_just_ended_still_has_time_for_its_webhook(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 120.0)
    await place.reconciler.begin()
    await place.platform.finished_run({})
    assert await place.turn() == []


async def test_of_two_workers_one_looks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Reconciler] = []
    honest = Reconciler.look

    async def look(self: Reconciler, timing: Reconcile) -> None:
        looks.append(self)
        await honest(self, timing)

    monkeypatch.setattr(Reconciler, "look", look)
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    waits = await asyncio.gather(place.reconciler.turn(), place.another().turn())
    assert len(looks) == 1
    assert list(waits) == [module.LONGEST, module.LONGEST]
    assert [event.run_id for event in await place.ledger.newest_events(10)] == [run]


async def test_the_second_finish_of_a_run_is_found(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    assert await place.turn() == [run]
    event = await place.ledger.take_event(digest("apify", run, await place.life(run)), 1)
    assert event
    fetched = await place.platform.source.run(place.platform.api, run)
    await place.ledger.plan(event[0], EventState.UNMATCHED, run=fetched, deliveries=[], documents={})
    await place.platform.api.send("POST", f"/actor-runs/{run}/resurrect")
    await place.platform.api.get(f"/actor-runs/{run}", {"waitForFinish": 60})
    assert await place.life(run) != fetched.life
    assert await place.turn() == [run, run]


async def test_a_platform_in_trouble_is_asked_again_in_the_next_turn(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    place.platform.scenario.add(Fault("GET /v2/actor-runs", Answer(503)))
    with pytest.raises(Transient):
        await place.turn()
    assert await place.turn() == [run]


async def test_trouble_never_ends_the_loop(place: Place, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 0.05)
    await place.reconciler.begin()
    place.platform.source.reconcile = Reconcile(every=0.1)
    run = await place.platform.finished_run({})
    place.platform.scenario.add(Fault("GET /v2/actor-runs", Answer(503)), Fault("GET /v2/actor-runs", Answer(200)))
    table = replace(load(place.folder / "runrelay.yaml", {}), sources={"apify": place.platform.source})
    runtime = Runtime(settings=settings, table=table, ledger=place.ledger, apis={"apify": place.platform.api})
    with capture_logs() as logs:
        watching = asyncio.create_task(reconcile_forever(runtime, place.inbox))
        try:
            async with asyncio.timeout(20):
                while not await place.ledger.newest_events(1):
                    await asyncio.sleep(0.05)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert [line["event"] for line in logs[:2]] == ["reconciler.waits"] * 2
    assert [event.run_id for event in await place.ledger.newest_events(10)] == [run]


async def test_a_run_no_route_wants_is_taken_and_no_cause_for_alarm(place: Place) -> None:
    await place.reconciler.begin()
    before = counted()
    run = await place.failed_run()
    with capture_logs() as logs:
        assert await place.turn() == [run]
    assert [line["event"] for line in logs] == ["reconciler.found"]
    assert counted() == before


async def test_a_run_whose_names_cannot_be_learnt_is_cause_for_alarm(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.failed_run()
    place.platform.scenario.add(Fault("GET /v2/actors/*", Answer(503)), Fault("GET /v2/acts/*", Answer(503)))
    before = counted()
    assert await place.turn() == [run]
    assert counted() - before == 1


async def test_without_webhooks_a_find_is_no_alarm(place: Place) -> None:
    place.platform.source.reconcile = Reconcile(every=3600.0, announced=False)
    await place.reconciler.begin()
    before = counted()
    run = await place.platform.finished_run({})
    with capture_logs() as logs:
        assert await place.turn() == [run]
    assert [line["event"] for line in logs] == ["reconciler.found"]
    assert counted() == before
