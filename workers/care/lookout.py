"""Looks at the ledger now and then: sets the figures of `/metrics`, signs the worker on, and says which routes it sees.
Runs in every worker."""

import asyncio
import os
import secrets
import socket
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from config.routes import RouteTable
from workers.ledger.expiring import expiring
from workers.ledger.freshness import stale, wanted, watch
from workers.ledger.ledger import Ledger
from workers.ledger.quarantine import held
from workers.ledger.standing import Place, look, sign_off, sign_on
from workers.metrics import show, show_expiring, show_held, show_stale

log = structlog.get_logger("runrelay.lookout")

#: Seconds between two looks: several fit into the time after which a silent worker counts as gone.
PAUSE = 10.0
#: ms between two looks at what expires within a day, and at what is in quarantine.
SELDOM_MS = 60_000
#: Seconds a stopping worker gives Redis to take note.
LAST_WORD = 1.0


async def look_forever(ledger: Ledger, table: RouteTable, *, places: int, pause: float = PAUSE) -> None:
    """Until cancelled. Redis being away is waited out; meanwhile the figures stay as they were last seen.

    places: how many of this worker's slots one lane may hold.
    """
    worker, shown, fresh, seldom = name_of_worker(), places_of(table), wanted(table), 0
    try:
        while True:
            try:
                standing = await look(ledger.redis, ledger.keys)
                show(standing, shown)
                await sign_on(ledger.redis, ledger.keys, worker, standing.at, places)
                if standing.at >= seldom:
                    await watch(ledger.redis, ledger.keys, fresh, standing.at)
                    show_expiring(await expiring(ledger.redis, ledger.keys, table.sources), shown)
                    show_held(await held(ledger.redis, ledger.keys), shown)
                    seldom = standing.at + SELDOM_MS
                show_stale(await stale(ledger.redis, ledger.keys, fresh, standing.at), fresh)
            except (RedisError, OSError) as exc:
                log.warning("lookout.redis_away", error=type(exc).__name__)
            await asyncio.sleep(pause)
    finally:
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await sign_off(ledger.redis, ledger.keys, worker)


def name_of_worker() -> str:
    """Machine and process; one more word, because containers all have the process 1."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"


def places_of(table: RouteTable) -> frozenset[Place]:
    """Where the routes of a file lead."""
    routes = (*table.routes, *((table.unmatched,) if table.unmatched else ()))
    return frozenset(Place(route.name, target.name) for route in routes for target in route.targets)
