"""Routes that must deliver in time: what is noted of them on a real Valkey, at given moments, and who shows it."""

import asyncio
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from prometheus_client import REGISTRY
from redis.asyncio import Redis

from config.freshness import Freshness
from config.routes import load
from tests.workers.ledger.books import Books, delivery
from workers.care.lookout import look_forever
from workers.ledger.freshness import FORGOTTEN_MS, Stale, stale, wanted, watch
from workers.metrics import CLASHES, ROUTE_STALE, count_tally

HOUR = 3600_000
HOURLY, DAILY = Freshness(3600), Freshness(by=time(7), zone=ZoneInfo("Europe/Berlin"))
BOTH = {"hourly": HOURLY, "daily": DAILY}


def at(written: str) -> int:
    """ms."""
    return round(datetime.fromisoformat(written).timestamp() * 1000)


class Routes:
    """What a worker does about some routes."""

    def __init__(self, redis: Redis) -> None:
        self.books = Books(redis)

    async def seen(self, routes: dict[str, Freshness], now: int) -> None:
        await watch(self.books.redis, self.books.keys, routes, now)

    async def stale(self, routes: dict[str, Freshness], now: int) -> list[Stale]:
        return await stale(self.books.redis, self.books.keys, routes, now)


async def test_a_route_that_has_never_delivered_has_time_since_it_was_first_seen(redis: Redis) -> None:
    routes, first = Routes(redis), at("2026-11-23T06:00+01:00")
    assert await routes.stale(BOTH, first) == []
    for minute in range(0, 61, 10):
        await routes.seen(BOTH, first + minute * 60_000)
    assert await routes.stale(BOTH, first + HOUR - 1) == []
    late = Stale("hourly", "every 1h", first + HOUR, 0)
    assert await routes.stale(BOTH, first + HOUR) == [late]
    daily = Stale("daily", "by 07:00 Europe/Berlin", first + 25 * HOUR, 0)
    assert await routes.stale(BOTH, first + 25 * HOUR) == [late, daily]


async def test_a_delivery_gives_time_anew(redis: Redis) -> None:
    routes = Routes(redis)
    now = await routes.books.now()
    await routes.seen(BOTH, now - 100 * HOUR)
    assert [one.route for one in await routes.stale(BOTH, now)] == ["hourly", "daily"]
    await routes.books.ledger.note_fresh("hourly")
    noted = int(await redis.hget("rr:fresh", "hourly") or 0)  # type: ignore[misc]  # one signature for both clients
    assert [one.route for one in await routes.stale(BOTH, noted + HOUR - 1)] == ["daily"]
    assert await routes.stale({"hourly": HOURLY}, noted + HOUR) == [Stale("hourly", "every 1h", noted + HOUR, noted)]


async def test_a_route_that_is_gone_is_forgotten_and_begins_anew(redis: Redis) -> None:
    routes, first = Routes(redis), at("2026-11-23T06:00+01:00")
    await routes.seen(BOTH, first)
    await routes.books.ledger.note_fresh("daily")
    gone = first + FORGOTTEN_MS + 1
    await routes.seen({"hourly": HOURLY}, gone)
    assert set(await redis.hkeys("rr:fresh")) == {b"hourly|since", b"hourly|seen"}  # type: ignore[misc]  # the same
    again = first + 90 * HOUR
    await routes.seen(BOTH, again)
    assert [one.route for one in await routes.stale(BOTH, again)] == ["hourly"]


async def test_while_a_file_is_rolled_out_nothing_is_forgotten(redis: Redis) -> None:
    """Workers that have it, and workers that do not, take turns."""
    routes, first = Routes(redis), at("2026-11-23T06:00+01:00")
    for minute in range(90):
        await routes.seen({} if minute % 10 else BOTH, first + minute * 60_000)
    assert [one.since for one in await routes.stale(BOTH, first + 2 * HOUR)] == [first + HOUR]


async def test_a_night_without_workers_is_no_delivery(redis: Redis) -> None:
    routes, first = Routes(redis), at("2026-11-23T06:00+01:00")
    await routes.seen(BOTH, first)
    await routes.seen(BOTH, first + 12 * HOUR)
    assert [one.since for one in await routes.stale(BOTH, first + 12 * HOUR)] == [first + HOUR]


FILE = """\
version: 1
sources: {apify: {token: tok-0123456789}}
sinks: {out: {type: stdout}}
routes:
  - {name: late, freshness: {every: 1h}, to: [{sink: out}]}
  - {name: fine, freshness: {by: "07:00"}, to: [{sink: out}]}
  - {name: whenever, to: [{sink: out}]}
"""


async def test_a_worker_sees_its_routes_and_shows_which_are_stale(redis: Redis, tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    table, books = load(tmp_path / "runrelay.yaml", {}), Books(redis)
    assert list(wanted(table)) == ["late", "fine"]
    await watch(redis, books.keys, wanted(table), await books.now() - 2 * HOUR)
    ROUTE_STALE.clear()
    looking = asyncio.create_task(look_forever(books.ledger, table, places=10))
    while figure("route_stale", route="fine") is None:
        await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert {route: figure("route_stale", route=route) for route in ("late", "fine", "whenever")} == {
        "late": 1.0,
        "fine": 0.0,
        "whenever": None,
    }


def test_items_whose_types_did_not_fit_are_counted_of_all_streams() -> None:
    CLASHES.clear()
    count_tally(delivery(), {"items:default|clash": 3, "items:more|clash": 2, "items:more|seen": 9})
    count_tally(delivery("calm"), {"items:default|seen": 3})
    assert figure("expression_clashes_total", route="all", target="rows") == 5.0
    assert figure("expression_clashes_total", route="all", target="calm") is None


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"runrelay_{name}", labels)
