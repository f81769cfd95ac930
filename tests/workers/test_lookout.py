"""The figures of the ledger on `/metrics`, and who is alive."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from config.routes import RouteTable, load
from tests.workers.ledger.books import Books, delivery
from workers.care.lookout import look_forever, places_of
from workers.health import health_server
from workers.ledger.expiring import Expiring
from workers.ledger.holds import Hold
from workers.ledger.ledger import Ledger
from workers.ledger.quarantine import Held
from workers.ledger.standing import Letters, Memory, Place, Standing, look
from workers.metrics import LAST_DELIVERY, SOURCE_DATA_EXPIRING, show, show_expiring, show_held

Figures = dict[tuple[str, tuple[str, ...]], float]
STANDING = Standing(
    at=100_000,
    open=3,
    dead=4,
    looked=3,
    states={},
    oldest_event=90_000,
    oldest={Place("all", "out"): 70_000, Place("gone", "a"): 50_000, Place("gone", "b"): 60_000},
    paused=[
        Hold("target", "all/out", "refused", "token_refused", since=70_000, waiting=1),
        Hold("sink", "lake", "held"),
        Hold("target", "all/slow", "failing", "target_unavailable", since=70_000),
    ],
    letters=[Letters("poison", 3, 99_000, "d1")],
    delivered={"all": 80_000, "gone": 81_000, "gone_too": 79_000},
    wanted=7,
    workers=[],
    memory=Memory(25, 100),
)


def table(folder: Path) -> RouteTable:
    (folder / "runrelay.yaml").write_text("""\
version: 1
sources: {apify: {token: t0ken-t0ken, webhook: {secrets: [s3cret]}}}
sinks: {out: {type: stdout}}
routes: [{name: all, to: [{sink: out}, {sink: out, name: second}]}]
unmatched: {to: [{sink: out}]}
""")
    return load(folder / "runrelay.yaml", {})


async def figures() -> Figures:
    async with (
        health_server("127.0.0.1", 0) as url,
        ClientSession() as session,
        session.get(f"{url}/metrics") as answer,
    ):
        text = await answer.text()
    return {
        (sample.name.removeprefix("runrelay_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_figure_has_its_fixed_name_and_only_names_of_the_file(tmp_path: Path) -> None:
    places = places_of(table(tmp_path))
    assert places == {Place("all", "out"), Place("all", "second"), Place("unmatched", "out")}
    LAST_DELIVERY.clear()
    show(STANDING, places)
    told = await figures()
    expected = {
        ("inbox_oldest_seconds", ()): 10.0,
        ("due_oldest_seconds", ("all/out",)): 30.0,
        ("due_oldest_seconds", ("all/second",)): 0.0,
        ("due_oldest_seconds", ("unmatched/out",)): 0.0,
        ("due_oldest_seconds", ("other",)): 50.0,
        ("dead_letters", ("poison",)): 3.0,
        ("dead_letters", ("older",)): 1.0,
        ("paused", ("target", "all/out")): 1.0,
        ("paused", ("sink", "lake")): 1.0,
        ("failing", ("all/slow",)): 1.0,
        ("last_delivery_timestamp_seconds", ("all",)): 80.0,
        ("last_delivery_timestamp_seconds", ("other",)): 81.0,
        ("redis_used_ratio", ()): 0.25,
        ("slots_wanted", ()): 7.0,
        ("ledger_looked_timestamp_seconds", ()): 100.0,
    }
    names = {name for name, _ in expected}
    assert {key: value for key, value in told.items() if key[0] in names} == expected


async def test_what_is_over_leaves_the_figures(tmp_path: Path) -> None:
    places = places_of(table(tmp_path))
    show(STANDING, places)
    show(replace(STANDING, paused=[], letters=[], dead=0, oldest={}), places)
    told = await figures()
    assert [key for key in told if key[0] in {"paused", "failing"}] == []
    assert {key: value for key, value in told.items() if key[0] == "dead_letters"} == {("dead_letters", ("older",)): 0}
    assert ("due_oldest_seconds", ("other",)) not in told


async def test_a_worker_is_on_the_list_while_it_looks_and_sets_the_figures(redis: Redis, tmp_path: Path) -> None:
    books = Books(redis)
    await books.plan(delivery("out"))
    looking = asyncio.create_task(look_forever(books.ledger, table(tmp_path), places=10))
    while not (workers := (await look(books.redis, books.keys)).workers):
        await asyncio.sleep(0.01)
    assert (len(workers), (await figures())[("slots_wanted", ())]) == (1, 1)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert (await look(books.redis, books.keys)).workers == []


async def test_what_is_about_to_expire_is_shown_by_route(tmp_path: Path) -> None:
    found = [Expiring(1.0, route, "out", "run1", "d1") for route in ("all", "all", "gone")]
    show_expiring(found, places_of(table(tmp_path)))
    told = {key: value for key, value in (await figures()).items() if key[0] == "source_data_expiring"}
    assert {route: value for (_, (route,)), value in told.items()} == {"all": 2.0, "unmatched": 0.0, "other": 1.0}


async def test_what_is_in_quarantine_is_shown_by_route(tmp_path: Path) -> None:
    found = [Held(route, "apify", reason, 2, 1, "d1") for route, reason in (("all", "a"), ("all", "b"), ("gone", "a"))]
    show_held(found, places_of(table(tmp_path)))
    told = {key: value for key, value in (await figures()).items() if key[0] == "quarantined"}
    assert {route: value for (_, (route,)), value in told.items()} == {"all": 4.0, "unmatched": 0.0, "other": 2.0}


async def test_a_worker_looks_at_what_is_about_to_expire(redis: Redis, tmp_path: Path) -> None:
    books = Books(redis)
    ended = datetime.fromtimestamp(await books.now() / 1000 - 6.5 * 86400, UTC)
    await books.plan(delivery("out", life=ended.isoformat()))
    SOURCE_DATA_EXPIRING.clear()
    looking = asyncio.create_task(look_forever(books.ledger, table(tmp_path), places=10))
    while ("source_data_expiring", ("all",)) not in (told := await figures()):
        await asyncio.sleep(0.01)
    assert told["source_data_expiring", ("all",)] == 1
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_a_redis_that_is_away_is_waited_out(redis: Redis, tmp_path: Path) -> None:
    books = Books(redis)
    away = Redis.from_url("redis://127.0.0.1:1/0")
    ledger = Ledger(away, books.keys)
    looking = asyncio.create_task(look_forever(ledger, table(tmp_path), places=10, pause=0.01))
    await asyncio.sleep(0.1)
    assert not looking.done()
    ledger.redis = books.redis
    while not (await look(books.redis, books.keys)).workers:
        await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await away.aclose()
