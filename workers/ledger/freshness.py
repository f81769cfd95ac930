"""Which routes have not delivered for longer than they may. Everything here is by Redis' clock.

Of each route that says how fresh it must be, `<ns>:fresh` keeps when it last delivered, `<route>|since` when a worker
first saw that it says so, which counts as a delivery, and `<route>|seen` when one last did.
"""

from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from config.freshness import Freshness
from config.keys import Keys
from config.routes import RouteTable

#: ms after which a route that no worker has seen is forgotten, so that it begins anew should it come back. While a
#: file is being rolled out, workers see different ones: it takes longer than that.
FORGOTTEN_MS = 15 * 60_000


class Stale(NamedTuple):
    """A route that should have delivered.

    Attributes:
        wanted: how often, as runrelay.yaml has it.
        since: when it should have, at the latest; ms.
        last: when it last did, ms; 0 if it has not since it says how often it must.
    """

    route: str
    wanted: str
    since: int
    last: int


def wanted(table: RouteTable) -> dict[str, Freshness]:
    """By route, as far as they say."""
    return {route.name: route.freshness for route in table.routes if route.freshness}


async def watch(redis: Redis, keys: Keys, routes: Mapping[str, Freshness], now: int) -> None:
    """A worker sees these routes (at `now`, in ms), and no others. To be said again before FORGOTTEN_MS.

    Raises RedisError, OSError.
    """
    note: Any = redis.pipeline()
    for route in routes:
        note.hsetnx(keys.fresh, f"{route}|since", now)
        note.hset(keys.fresh, f"{route}|seen", now)
    note.hgetall(keys.fresh)
    *_, noted = await note.execute()
    if gone := [name for name in noted if now - _seen(noted, name) > FORGOTTEN_MS]:
        await cast("Awaitable[int]", redis.hdel(keys.fresh, *gone))


def _seen(noted: Mapping[bytes, bytes], name: bytes) -> int:
    return int(noted.get(name.partition(b"|")[0] + b"|seen", 0))


async def stale(redis: Redis, keys: Keys, routes: Mapping[str, Freshness], now: int) -> list[Stale]:
    """Those that are it at `now` (ms), the longest first. A route that no worker has seen yet has time.

    One round trip. Raises RedisError, OSError.
    """
    if not routes:
        return []
    noted = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(keys.fresh))
    return sorted(_late(routes, noted, now), key=lambda one: (one.since, one.route))


def _late(routes: Mapping[str, Freshness], noted: Mapping[bytes, bytes], now: int) -> Iterator[Stale]:
    for route, freshness in routes.items():
        last, since = (int(noted.get(name.encode(), 0)) for name in (route, f"{route}|since"))
        if begun := max(last, since):
            deadline = round(freshness.deadline(begun / 1000) * 1000)
            if deadline <= now:
                yield Stale(route, str(freshness), deadline, last)
