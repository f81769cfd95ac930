"""Whose data is about to be deleted by the platform, on a real Valkey."""

from datetime import UTC, datetime

from msgspec.structs import replace

from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.source import Source
from config.sources.apify import Config, connect
from tests.workers.ledger.books import Books, delivery
from workers.ledger.expiring import Expiring, by_route, expiring, expiry

HOUR, DAY = 3600, 86400
SOURCES: dict[str, Source] = {"apify": connect("apify", Config.model_validate({"token": "t0ken-t0ken"}))}


async def ended_ago(books: Books, seconds: float, target: str = "rows", **changes: str) -> Delivery:
    """A delivery of a run that ended so long ago."""
    ended = datetime.fromtimestamp(await books.now() / 1000 - seconds, UTC)
    life = ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    one = replace(delivery(target, life=life, **changes), run_id=f"run{target}")
    await books.plan(one, body=one.id.encode())
    return one


def told(one: Delivery) -> Expiring:
    when = expiry(SOURCES, "apify", one.life)
    assert when
    return Expiring(when, one.route, one.target, one.run_id, one.id)


async def test_deliveries_whose_data_is_gone_within_a_day_the_soonest_first(books: Books) -> None:
    late = await ended_ago(books, 7 * DAY - 20 * HOUR, "late")
    soon = await ended_ago(books, 7 * DAY - HOUR, "soon")
    await ended_ago(books, 7 * DAY - 25 * HOUR, "not_yet")
    await ended_ago(books, 7 * DAY + HOUR, "gone")
    assert await expiring(books.redis, books.keys, SOURCES) == [told(soon), told(late)]


async def test_dead_letters_count_and_what_was_delivered_does_not(books: Books) -> None:
    dead, fine, dropped = [await ended_ago(books, 7 * DAY - HOUR, name) for name in ("dead", "fine", "dropped")]
    await books.end(dead, DeliveryState.DEAD)
    await books.end(fine, DeliveryState.DELIVERED)
    await books.end(dropped, DeliveryState.DROPPED)
    assert await expiring(books.redis, books.keys, SOURCES) == [told(dead)]


async def test_a_source_that_does_not_tell_has_nothing_that_expires(books: Books) -> None:
    one = await ended_ago(books, 7 * DAY - HOUR)
    assert await expiring(books.redis, books.keys, {}) == []
    assert expiry({}, "apify", one.life) is None
    assert expiry(SOURCES, "apify", "") is None
    assert expiry(SOURCES, "apify", "some day") is None


async def test_how_long_data_is_kept_is_an_option_of_the_source(books: Books) -> None:
    one = await ended_ago(books, 7 * DAY - HOUR)
    longer: dict[str, Source] = {
        "apify": connect("apify", Config.model_validate({"token": "t0ken-t0ken", "retention": "30d"}))
    }
    assert await expiring(books.redis, books.keys, longer) == []
    first, later = expiry(SOURCES, "apify", one.life), expiry(longer, "apify", one.life)
    assert first
    assert later == first + 23 * DAY


async def test_a_look_is_bounded_and_no_record_spoils_it(books: Books) -> None:
    ones = [await ended_ago(books, 7 * DAY - HOUR, f"t{n}") for n in range(7)]
    await books.redis.zadd(books.keys.due, {f"dl:{one.id}": place for place, one in enumerate(ones)})
    assert len(await expiring(books.redis, books.keys, SOURCES, most=2)) == 4
    await books.set("dl", ones[0].id, delivery=b"{odd")
    await books.redis.zadd(books.keys.due, {"dl:gone": 0, "zz:odd": 0, "ev:some": 0})
    assert len(await expiring(books.redis, books.keys, SOURCES)) == 6


def test_routes_are_counted_and_those_of_other_files_together() -> None:
    found = [Expiring(1.0, route, "t", "r", "d") for route in ("all", "all", "old", "older")]
    assert by_route(found, ["all", "calm"], "other") == {"all": 2, "calm": 0, "other": 2}
